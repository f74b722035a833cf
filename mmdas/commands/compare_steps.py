"""The steps of a comparison: measure the costs, search, train in rungs, test the winner and plain."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmdas.search.halving import Cost, Rung, final_length, make_rungs, seconds_of, standings, survivors

from .compare_methods import PLAIN, Method
from .parser import CommandError
from .step import Step
from .step_runs import StepRuns

if TYPE_CHECKING:
    from mmengine.config import Config

FULL_COST_PART = 1 / 3  # of the cost of all methods at full length: the budget where none is given
RESERVE = 0.05  # of the time that is left: that no plan counts on
Scores = dict[str, dict[int, float]]  # method -> seed -> score


class Comparison:
    """A comparison in a folder.

    Args:
        cfg: with its split, at full length.
        methods: plain first.
        runs: of the folder.
        settings: ``budget`` (seconds, or None), ``seeds``, ``seed``, ``finalists`` and ``amp``.
    """

    def __init__(self, cfg: Config, methods: Sequence[Method], runs: StepRuns, settings: dict[str, Any]) -> None:
        from mmdas.apis import host_of, training_length

        self.cfg, self.runs, self.settings = cfg, runs, settings
        self.methods = {method.name: method for method in methods}
        self.metric = host_of(cfg).metric
        self.unit, self.full = training_length(cfg)
        self.rungs = make_rungs(len(methods), settings['finalists'], settings['seeds'])
        self.budget = float('inf')

    def run(self) -> dict[str, Any]:
        """Run all steps that are not done; the result, which the notes keep as ``comparison``."""
        costs = self.measure()
        self.budget = self.settings['budget'] or self.default_budget(costs)
        left = list(costs)
        history: list[dict[str, Any]] = []
        for place, rung in enumerate(self.rungs):
            if place:
                means = {name: sum(own.values()) / len(own) for name, own in history[-1]['scores'].items()}
                left = survivors(means, rung.size, PLAIN)
            length = self.length(place, left, costs)
            if not length:  # no time for longer trainings than those of the last rung
                continue
            if place == 0:
                left = self.search(left)
            scores = self.train(place, rung, length, left)
            left = list(scores)
            history.append({'rung': place, 'length': length, 'seeds': rung.seeds, 'scores': scores})
            costs = self.corrected(costs, place, length)
            if any(not scores[name] for name in left):  # the budget has ended
                break
        return self.conclude(history)

    def measure(self) -> dict[str, Cost]:
        """What a training of each method takes, from some steps; a method whose steps fail has none.

        Raises:
            CommandError: if plain alone is left.
        """
        steps = {name: self.cost_step(method) for name, method in self.methods.items()}
        self.runs.run_all(list(steps.values()))
        costs = {}
        for name, step in steps.items():
            if self.runs.failure(step.name) is not None:
                continue
            found = json.loads((self.runs.folder / f'{step.name}.json').read_text())
            start = max(self.runs.notes[step.name]['seconds'] - found['measuring'], 0.0)
            costs[name] = Cost(start + found['validation'], found['unit'])
        if len(costs) == 1:
            raise CommandError('there is nothing left to compare plain with: ' + '; '.join(self.failures().values()))
        return costs

    def failures(self) -> dict[str, str]:
        """Method -> what went wrong with it, of those that a step failed of."""
        found = {}
        for name in self.methods:
            steps = [step for step in self.own_steps(name) if self.runs.failure(step) is not None]
            if steps:
                log = self.runs.folder / f'{steps[0]}.log'
                found[name] = f'{name} failed: {self.runs.failure(steps[0])} (see {log})'
        return found

    def unharmed(self, names: Sequence[str], steps: Callable[[str], Sequence[str]]) -> list[str]:
        """Those of the methods that no one of some steps failed of.

        Args:
            names: of methods.
            steps: name of a method -> names of its steps.
        """
        return [name for name in names if all(self.runs.failure(step) is None for step in steps(name))]

    def cost_step(self, method: Method) -> Step:
        """The command that measures a method."""
        name = f'cost_{method.slug}'
        where = ['--work-dir', str(self.runs.folder / name), '--out', str(self.runs.folder / f'{name}.json')]
        command = ['cost', str(self.runs.folder / 'comparison.py'), *where, *method.options_of_stand_in(), *self.amp()]
        return Step(name, f'cost of {method.name}', command, may_fail=method.name != PLAIN)

    def amp(self) -> list[str]:
        """The option of mixed precision."""
        return ['--amp'] if self.settings['amp'] else []

    def default_budget(self, costs: dict[str, Cost]) -> float:
        """A third of what all methods take at full length with all seeds."""
        all_trainings = [Rung(len(costs), 1.0, self.settings['seeds'])]
        return FULL_COST_PART * seconds_of(all_trainings, costs.values(), self.full, self.runs.processes)

    def length(self, place: int, left: list[str], costs: dict[str, Cost]) -> int:
        """Length of the trainings of a rung: the longest whose plan fits into the time that is left.

        It is 0, and the rung left out, where that is no longer than the rung before. It is noted, so that a comparison
        that goes on has the same.
        """
        noted: list[int] = self.runs.notes.setdefault('lengths', [])
        if place == len(noted):
            own = [costs[name] for name in left]
            rungs = self.rungs[place:]
            searches = [self.methods[name] for name in left if self.methods[name].search]
            if place == 0 and searches:  # each takes as long as a training of the final
                rungs = [Rung(len(searches), 1.0, 1), *rungs]
            final = final_length(rungs, own, self.time_left(costs), self.full, self.runs.processes)
            if place == 0 and searches:
                self.runs.notes['search_seconds'] = max(round(costs[PLAIN].unit * final), 1)
            length = self.rungs[place].length(final)
            noted.append(length if length > max(noted, default=0) else 0)
            self.runs.save()
        return noted[place]

    def time_left(self, costs: dict[str, Cost]) -> float:
        """Seconds for trainings, the tests at the end left out."""
        tests = 2 * self.settings['seeds'] * costs[PLAIN].fixed
        return (1 - RESERVE) * (self.budget - self.runs.spent - tests)

    def may_start(self) -> bool:
        """Whether a further step may begin."""
        return self.runs.spent < self.budget

    def search(self, left: Sequence[str]) -> list[str]:
        """Run the searches of the methods that have one; a budget that ends leaves them out.

        Returns:
            the methods whose search did not fail.
        """
        searches = [self.methods[name] for name in left if self.methods[name].search]
        self.runs.run_all([self.search_step(method) for method in searches], self.may_start)
        return self.unharmed(left, lambda name: [self.search_name(name)])

    def search_step(self, method: Method) -> Step:
        """The search of a method, which takes about as long as a training of the final."""
        name, seconds = self.search_name(method.name), self.runs.notes['search_seconds']
        command = ['search', str(self.runs.folder / 'comparison.py'), '--method', str(method.search)]
        where = ['--work-dir', str(self.runs.folder / name), '--budget', f'{seconds}s']
        options = [*command, *where, *self.amp(), *self.seed_option(self.settings['seed'])]
        return Step(name, f'search of {method.name}', options, resumes=True, may_fail=True)

    def policy(self, method: Method) -> str:
        """Path of the policy that the search of a method finds."""
        return str(self.runs.folder / self.search_name(method.name) / 'policy.json')

    def seed_option(self, seed: int) -> list[str]:
        """The option that sets the seed of a run."""
        return ['--cfg-options', f'randomness.seed={seed}']

    def train(self, place: int, rung: Rung, length: int, left: Sequence[str]) -> Scores:
        """Train the methods of a rung, all with the first seed, then all with the next; their scores.

        A method leaves with the first training of it that fails.
        """
        config = self.write_config(place, length)
        ready = [
            name for name in left if self.methods[name].search is None or self.runs.is_done(self.search_name(name))
        ]
        seeds = range(self.settings['seed'], self.settings['seed'] + rung.seeds)
        steps = [self.step(name, place, seed, config) for seed in seeds for name in ready]
        self.runs.run_all(steps, self.may_start)
        left = self.unharmed(left, lambda name: [self.step_name(name, place, seed) for seed in seeds])
        done = {(name, seed): self.step_name(name, place, seed) for seed in seeds for name in ready}
        return {
            name: {
                seed: self.score(done[name, seed])
                for seed in seeds
                if (name, seed) in done and self.runs.is_done(done[name, seed])
            }
            for name in left
        }

    def write_config(self, place: int, length: int) -> str:
        """The config of the trainings of a rung."""
        from mmdas.apis import set_training_length

        cfg = deepcopy(self.cfg)
        set_training_length(cfg, length)
        path = self.runs.folder / f'rung{place + 1}.py'
        path.write_text(cfg.pretty_text)
        return str(path)

    def search_name(self, name: str) -> str:
        """Of the step that searches for a method."""
        return f'search_{self.methods[name].slug}'

    def step_name(self, name: str, place: int, seed: int) -> str:
        """Of a training."""
        return f'{self.methods[name].slug}_rung{place + 1}_seed{seed}'

    def step(self, name: str, place: int, seed: int, config: str) -> Step:
        """A training."""
        step, method = self.step_name(name, place, seed), self.methods[name]
        options = [*method.options(self.policy(method)), *self.amp(), *self.seed_option(seed)]
        title = f'{name}, rung {place + 1} of {len(self.rungs)}, seed {seed}'
        command = ['train', config, '--work-dir', str(self.runs.folder / step), *options]
        return Step(step, title, command, resumes=True, may_fail=name != PLAIN)

    def score(self, step: str) -> float:
        """What the validation at the end of a training measured.

        Raises:
            CommandError: if the evaluators do not measure what methods are compared by.
        """
        found = last_validation(self.runs.folder / step, self.metric)
        if found is None:  # the training was killed between its last checkpoint and its validation
            self.test(step, 'val')
            found = self.metrics(f'val_{step}')
        return found

    def test(self, step: str, split: str) -> None:
        """Test the model of a training on a split."""
        name = f'{split}_{step}'
        config, checkpoint = self.runs.config(step), self.runs.checkpoint(step)
        command = ['test', config, checkpoint, '--split', split, '--work-dir', str(self.runs.folder / name)]
        self.runs.run(name, f'{"test" if split == "test" else "validation"} of {step}', command)

    def metrics(self, step: str) -> float:
        """The metric that decides, of a test."""
        found = self.runs.metrics(step)
        if self.metric not in found:
            raise CommandError(f'the evaluators measure {", ".join(found)}, and not {self.metric}, which is compared')
        return found[self.metric]

    def corrected(self, costs: dict[str, Cost], place: int, length: int) -> dict[str, Cost]:
        """The costs, in proportion to what the trainings of a rung took."""
        result = dict(costs)
        for name, cost in costs.items():
            note = self.runs.notes.get(self.step_name(name, place, self.settings['seed']), {})
            if note.get('done'):
                ratio = note['seconds'] / max(cost.seconds(length), 1e-9)
                result[name] = Cost(cost.fixed * ratio, cost.unit * ratio)
        return result

    def conclude(self, history: list[dict[str, Any]]) -> dict[str, Any]:
        """Name the winner, and test it and plain.

        Raises:
            CommandError: if the budget was too short for anything.
        """
        found = standings(history[-1]['scores'])
        if len(history) > 1 and len(found) < 2:  # the budget ended as this rung began
            history = history[:-1]
            found = standings(history[-1]['scores'])
        if not found:
            raise CommandError('the budget has ended before the first training has; give more by --budget, with --out')
        winner, place, last = found[0].name, history[-1]['rung'], history[-1]
        ended = place == len(self.rungs) - 1
        complete = ended and all(len(own) == last['seeds'] for own in last['scores'].values())
        tests: Scores = {}
        for name in dict.fromkeys([winner, PLAIN]):
            tests[name] = {}
            for seed in history[-1]['scores'].get(name, {}):
                step = self.step_name(name, place, seed)
                self.test(step, 'test')
                tests[name][seed] = self.metrics(f'test_{step}')
        result = {
            **{'metric': self.metric, 'unit': self.unit, 'full': self.full, 'budget': round(self.budget, 1)},
            **{'winner': winner, 'complete': complete, 'rungs': history, 'tests': tests},
            'standings': [{**asdict(one), 'mean': one.mean, 'level': one.is_level} for one in found],
            'seconds': {name: self.seconds(name) for name in self.methods},
            'failed': self.failures(),
            'runs': self.last_runs(history[-1]['scores'], place),
            'spent': self.runs.notes.get('comparison', {}).get('spent', round(self.runs.spent, 1)),
        }
        self.runs.notes['comparison'] = json.loads(json.dumps(result))  # as it is read: with texts for seeds
        self.runs.save()
        kept: dict[str, Any] = self.runs.notes['comparison']
        return kept

    def seconds(self, name: str) -> float:
        """What all steps of a method took."""
        return round(sum(self.runs.notes[step]['seconds'] for step in self.own_steps(name)), 1)

    def own_steps(self, name: str) -> list[str]:
        """The steps of a method that were begun."""
        slug = self.methods[name].slug
        single, trainings = {f'cost_{slug}', f'search_{slug}'}, re.compile(rf'((val|test)_)?{re.escape(slug)}_rung\d')
        return [step for step in self.runs.notes if step in single or trainings.match(step)]

    def last_runs(self, scores: Scores, place: int) -> dict[str, dict[int, str]]:
        """Folders of the trainings of the last rung, as method -> seed -> folder."""
        return {name: {seed: self.step_name(name, place, seed) for seed in own} for name, own in scores.items()}


def last_validation(folder: Path, metric: str) -> float | None:
    """What the newest validation of a run measured; None where there is none.

    Args:
        folder: of the run.
        metric: name of it.
    """
    for path in sorted(folder.glob('*/vis_data/scalars.json'), reverse=True):
        records = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
        found = [record[metric] for record in records if metric in record]
        if found:
            return float(found[-1])
    return None

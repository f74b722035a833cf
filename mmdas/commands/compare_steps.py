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

from .compare_budget import SEARCH_ITERATION, Budget
from .compare_methods import PLAIN, Method
from .parser import CommandError
from .step import Step
from .step_runs import StepRuns

if TYPE_CHECKING:
    from mmengine.config import Config

FULL_COST_PART = 1 / 3  # of the cost of all methods at full length: the budget where none is given
RESERVE = 0.05  # of the time that is left: that no plan counts on
Scores = dict[str, dict[int, float]]  # method -> seed -> score
Trained = dict[str, dict[int, str]]  # method -> seed -> step of a training that is done


class Comparison:
    """A comparison in a folder.

    Args:
        cfg: with its split, at full length.
        methods: plain first.
        runs: of the folder.
        settings: ``budget`` (a :class:`Budget`, or None), ``seeds``, ``seed``, ``finalists``, ``amp`` and ``retry``,
            whether planned steps may begin after the budget has ended, too.
    """

    def __init__(self, cfg: Config, methods: Sequence[Method], runs: StepRuns, settings: dict[str, Any]) -> None:
        from mmdas.apis import host_of, training_length

        self.cfg, self.runs, self.settings = cfg, runs, settings
        self.methods = {method.name: method for method in methods}
        self.metric = host_of(cfg).metric
        self.unit, self.full = training_length(cfg)
        self.rungs = make_rungs(len(methods), settings['finalists'], settings['seeds'])
        self.budget: Budget = settings['budget'] or Budget(float('inf'))
        self.trained = 0.0  # iterations or epochs of all trainings and searches that were begun

    def run(self) -> dict[str, Any]:
        """Run all steps that are not done; the result, which the notes keep as ``comparison``."""
        costs = self.measure()
        if self.settings['budget'] is None:
            self.budget = self.default_budget(costs)
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
                left = self.search(left, costs)
            history.append(self.train(place, rung, length, left, history))
            left = list(history[-1]['scores'])
            costs = self.corrected(costs, place, length)
            if not all(history[-1]['scores'].values()):  # the budget has ended
                break
        return self.conclude(history)

    def measure(self) -> dict[str, Cost]:
        """What a training of each method takes, from some steps; a method whose steps fail has none.

        Where the budget is a length, each iteration costs one, and nothing is measured.

        Raises:
            CommandError: if plain alone is left.
        """
        if self.budget.is_length:
            return {name: Cost(0.0, 1.0) for name in self.methods}
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

    def default_budget(self, costs: dict[str, Cost]) -> Budget:
        """A third of what all methods take at full length with all seeds."""
        all_trainings = [Rung(len(costs), 1.0, self.settings['seeds'])]
        whole = seconds_of(all_trainings, costs.values(), self.full, self.runs.processes)
        return Budget(FULL_COST_PART * whole)

    def length(self, place: int, left: list[str], costs: dict[str, Cost]) -> int:
        """Length of the trainings of a rung: the longest whose plan fits into the time that is left.

        It is 0, and the rung left out, where that is no longer than the rung before. A rung of further seeds has the
        length of the rung before. It is noted, so that a comparison that goes on has the same.
        """
        noted: list[int] = self.runs.notes.setdefault('lengths', [])
        if self.rungs[place].first:
            return max(noted[:place])
        if place == len(noted):
            own = [costs[name] for name in left]
            rungs = self.rungs[place:]
            searches = [self.methods[name] for name in left if self.methods[name].search]
            if place == 0 and searches:  # each takes as long as a training of the final
                rungs = [Rung(len(searches), 1.0, 1), *rungs]
            processes = 1 if self.budget.is_length else self.runs.processes
            final = final_length(rungs, own, self.left(costs), self.full, processes)
            if place == 0:
                self.check_length(seconds_of(rungs, own, final))
            if place == 0 and searches:
                self.runs.notes['search_seconds'] = max(round(costs[PLAIN].unit * final), 1)
            length = self.rungs[place].length(final)
            noted.append(length if length > max(noted, default=0) else 0)
            self.runs.save()
        return noted[place]

    def check_length(self, planned: float) -> None:
        """Refuse a budget of a length that is too small for the shortest plan.

        Raises:
            CommandError: with the smallest one.
        """
        if self.budget.is_length and planned > self.budget.amount:
            unit = self.budget.unit
            raise CommandError(
                f'--budget {self.budget.amount:g}{unit} is too small: all trainings together, at the least length of '
                f'each, are {planned:g}; give {planned:g}{unit} or more, fewer methods, or --seeds 1'
            )

    def left(self, costs: dict[str, Cost]) -> float:
        """Of the budget for trainings; of a time, without the tests at the end."""
        if self.budget.is_length:
            return self.budget.amount - self.trained
        tests = 2 * self.settings['seeds'] * costs[PLAIN].fixed
        return (1 - RESERVE) * (self.budget.amount - self.runs.spent - tests)

    def may_start(self) -> bool:
        """Whether a further step may begin; a length is kept by the plan."""
        return self.budget.is_length or self.settings['retry'] or self.runs.spent < self.budget.amount

    def search(self, left: Sequence[str], costs: dict[str, Cost]) -> list[str]:
        """Run the searches of the methods that have one; a budget that ends leaves them out.

        Args:
            left: the methods.
            costs: of them.

        Returns:
            the methods whose search did not fail.
        """
        searches = [self.methods[name] for name in left if self.methods[name].search]
        if searches:  # the plan has not counted them where their costs failed then, and are there on a retry
            final = self.runs.notes['lengths'][0] / self.rungs[0].part
            self.runs.notes.setdefault('search_seconds', max(round(costs[PLAIN].unit * final), 1))
        self.runs.run_all([self.search_step(method) for method in searches], self.may_start)
        if searches:
            self.trained += len(searches) * self.runs.notes['search_seconds']
        return self.unharmed(left, lambda name: [self.search_name(name)])

    def search_step(self, method: Method) -> Step:
        """The search of a method, which takes about as long as a training of the final."""
        name, length = self.search_name(method.name), self.runs.notes['search_seconds']
        command = ['search', str(self.runs.folder / 'comparison.py'), '--method', str(method.search)]
        where = ['--work-dir', str(self.runs.folder / name)]
        seed = self.seed_option(self.settings['seed'])
        if self.budget.is_length:
            how_long = [*seed, f'train_cfg.max_{self.unit}={max(round(length / SEARCH_ITERATION), 2)}']
        else:
            how_long = ['--budget', f'{length}s', *seed]
        options = [*command, *where, *self.amp(), *how_long]
        return Step(name, f'search of {method.name}', options, resumes=True, may_fail=True)

    def policy(self, method: Method) -> str:
        """Path of the policy that the search of a method finds."""
        return str(self.runs.folder / self.search_name(method.name) / 'policy.json')

    def seed_option(self, seed: int) -> list[str]:
        """The option that sets the seed of a run."""
        return ['--cfg-options', f'randomness.seed={seed}']

    def train(
        self, place: int, rung: Rung, length: int, left: Sequence[str], history: Sequence[dict[str, Any]]
    ) -> dict[str, Any]:
        """Train the methods of a rung, all with the first seed, then all with the next.

        A method leaves with the first training of it that fails.

        Args:
            place: of the rung.
            rung, length, left: what is trained.
            history: the rungs before; a rung of further seeds takes the trainings of the last one along.

        Returns:
            the rung's place, length, number of seeds, ``runs`` (method -> seed -> step) and ``scores``.
        """
        config = self.write_config(place, length)
        searches = {name: self.methods[name].search for name in left}
        ready = [name for name in left if searches[name] is None or self.runs.is_done(self.search_name(name))]
        first = self.settings['seed'] + rung.first
        seeds = range(first, first + rung.seeds)
        self.trained += length * rung.seeds * len(ready)
        self.runs.run_all([self.step(name, place, seed, config) for seed in seeds for name in ready], self.may_start)
        left = self.unharmed(left, lambda name: [self.step_name(name, place, seed) for seed in seeds])
        runs: Trained = {name: dict(history[-1]['runs'][name]) if rung.first else {} for name in left}
        for name in left:
            steps = {seed: self.step_name(name, place, seed) for seed in seeds if name in ready}
            runs[name].update({seed: step for seed, step in steps.items() if self.runs.is_done(step)})
        scores = {name: {seed: self.score(step) for seed, step in own.items()} for name, own in runs.items()}
        count = rung.first + rung.seeds
        return {'rung': place, 'length': length, 'seeds': count, 'runs': runs, 'scores': scores}

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
        winner, last = found[0].name, history[-1]
        ended = last['rung'] == len(self.rungs) - 1
        complete = ended and all(len(own) == last['seeds'] for own in last['scores'].values())
        tests = self.tests({name: last['runs'].get(name, {}) for name in (winner, PLAIN)})
        result = {
            **{'metric': self.metric, 'unit': self.unit, 'full': self.full},
            **{'budget': round(self.budget.amount, 1), 'budget_unit': self.budget.unit, 'trained': self.trained},
            **{'winner': winner, 'complete': complete, 'tests': tests},
            'rungs': [{key: value for key, value in rung.items() if key != 'runs'} for rung in history],
            'standings': [{**asdict(one), 'mean': one.mean, 'level': one.is_level} for one in found],
            'seconds': {name: self.seconds(name) for name in self.methods},
            'failed': self.failures(),
            'runs': last['runs'],
            'spent': self.runs.notes.get('comparison', {}).get('spent', round(self.runs.spent, 1)),
        }
        self.runs.notes['comparison'] = json.loads(json.dumps(result))  # as it is read: with texts for seeds
        self.runs.save()
        kept: dict[str, Any] = self.runs.notes['comparison']
        return kept

    def tests(self, runs: Trained) -> Scores:
        """Scores on the test set of trainings."""
        found: Scores = {}
        for name, own in runs.items():
            for step in own.values():
                self.test(step, 'test')
            found[name] = {seed: self.metrics(f'test_{step}') for seed, step in own.items()}
        return found

    def seconds(self, name: str) -> float:
        """What all steps of a method took."""
        return round(sum(self.runs.notes[step]['seconds'] for step in self.own_steps(name)), 1)

    def own_steps(self, name: str) -> list[str]:
        """The steps of a method that were begun."""
        slug = self.methods[name].slug
        single, trainings = {f'cost_{slug}', f'search_{slug}'}, re.compile(rf'((val|test)_)?{re.escape(slug)}_rung\d')
        return [step for step in self.runs.notes if step in single or trainings.match(step)]


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

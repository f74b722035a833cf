"""Optimiser wrapper constructors."""

from .search_optim_wrapper_constructor import SearchOptimWrapperConstructor

__all__ = ['SearchOptimWrapperConstructor']

"""Manifests as kustomize builds them, without kubectl.

As much of it as this project's base, components and an ordinary overlay use. A field that isn't
understood is told, never passed over: see `BuildResult.unsupported`.
https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/
"""

from .build import BuildResult, Problem, build
from .resource import Resource

__all__ = ["BuildResult", "Problem", "Resource", "build"]

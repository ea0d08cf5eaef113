"""Questions about Python code, answered from its syntax tree."""

import ast
from collections.abc import Iterable, Iterator

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(nodes: Iterable[ast.AST]) -> Iterator[Function]:
    """The functions and methods among the nodes of a tree."""
    for node in nodes:
        if isinstance(node, Function):
            yield node


def own_nodes(function: Function) -> Iterator[ast.AST]:
    """What a function does itself: functions that it defines are left out."""
    pending: list[ast.AST] = list(function.body)
    while pending:
        node = pending.pop()
        yield node
        if not isinstance(node, Function | ast.Lambda | ast.ClassDef):
            pending.extend(ast.iter_child_nodes(node))


def lifespans(nodes: Iterable[ast.AST]) -> Iterator[ast.AsyncFunctionDef]:
    """The asynchronous generators that a service may use as a lifespan or a resource."""
    for function in functions(nodes):
        if isinstance(function, ast.AsyncFunctionDef) and any(
            isinstance(node, ast.Yield) for node in own_nodes(function)
        ):
            yield function


def after_yield(function: Function) -> Iterator[ast.stmt]:
    """The statements that run once the generator is told to end."""
    yields = [node.lineno for node in own_nodes(function) if isinstance(node, ast.Yield)]
    last = max(yields, default=None)
    if last is None:
        return
    for node in own_nodes(function):
        simple = isinstance(node, ast.Assign | ast.AnnAssign | ast.Expr | ast.AugAssign)
        if simple and isinstance(node, ast.stmt) and node.lineno > last:
            yield node


def calls(nodes: Iterable[ast.AST]) -> Iterator[ast.Call]:
    """The calls among nodes."""
    for node in nodes:
        if isinstance(node, ast.Call):
            yield node


def route_paths(function: Function) -> Iterator[str]:
    """The paths that a function is registered for by decorators such as `@router.get("/x")`."""
    for decorator in function.decorator_list:
        if (
            isinstance(decorator, ast.Call)
            and isinstance(decorator.func, ast.Attribute)
            and decorator.func.attr in ("get", "route", "api_route", "head", "add_api_route")
        ):
            for argument in decorator.args[:1]:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield argument.value


def function_at(nodes: Iterable[ast.AST], line: int) -> Function | None:
    """The function that begins at a line; its decorators count."""
    for function in functions(nodes):
        first = min([function.lineno, *(one.lineno for one in function.decorator_list)])
        if first <= line <= function.lineno:
            return function
    return None


def names_in(node: ast.AST) -> Iterator[str]:
    """Every name and attribute that is used within a node."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name):
            yield inner.id
        elif isinstance(inner, ast.Attribute):
            yield inner.attr


def assigned_name(target: ast.expr) -> str:
    """What an assignment's target is called: the name, the attribute, or the text in brackets."""
    if isinstance(target, ast.Attribute):
        return target.attr
    if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
        return str(target.slice.value)
    return target.id if isinstance(target, ast.Name) else ""

"""What the migrations so far have made, as far as the rules ask for it."""

from dataclasses import dataclass, field


@dataclass
class Constraint:
    """A constraint that was added to a table that was there."""

    never_null: str | None
    """The column of which it says that it is never null, if that is what it says."""
    is_valid: bool
    is_new: bool = True
    """Whether it was added in the migration that is being read."""


@dataclass
class SchemaState:
    """Grows from statement to statement."""

    is_bounded: bool = False
    """Whether a lock_timeout is in force."""
    in_transaction: bool = False
    new_tables: set[str] = field(default_factory=set)
    """Made in the migration that is being read: nobody uses them yet."""
    _constraints: dict[tuple[str, str], Constraint] = field(default_factory=dict)

    def begin_migration(self) -> None:
        """What was made before is in use from now on."""
        self.new_tables.clear()
        for constraint in self._constraints.values():
            constraint.is_new = False

    def add_constraint(self, table: str, name: str, never_null: str | None, is_valid: bool) -> None:
        """A constraint was added."""
        self._constraints[table, name] = Constraint(never_null, is_valid)

    def validate(self, table: str, name: str) -> bool:
        """A constraint was validated; whether that keeps nobody out."""
        constraint = self._constraints.get((table, name))
        if constraint is None:
            return True
        constraint.is_valid = True
        return not constraint.is_new

    def is_never_null(self, table: str, column: str) -> bool:
        """Whether a constraint that was validated says so: no row has to be read then."""
        return any(
            of == table and constraint.never_null == column and constraint.is_valid
            for (of, _), constraint in self._constraints.items()
        )

"""The tables of the service: the chassis' own and the user's, in one collection.

Constraints have names by a rule, because what has no name can't be dropped in a migration.
https://alembic.sqlalchemy.org/en/latest/naming.html
"""

from sqlalchemy import MetaData

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_N_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""Where every table is declared: `Table("orders", metadata, Column(...))`."""

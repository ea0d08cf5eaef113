#!/bin/sh
# Makes a database first, as the official image of PostgreSQL does, and then runs what is asked for:
# Prometheus where only options are given, as its own image does.
set -eu
case $1 in --*) set -- prometheus "$@" ;; esac
if [ "$1" = postgres ] && [ ! -e "$PGDATA/PG_VERSION" ]; then
    initdb --pgdata "$PGDATA" --username "$POSTGRES_USER" --pwfile "$POSTGRES_PASSWORD_FILE" \
        --auth-local trust --auth-host scram-sha-256 --encoding UTF8 > /dev/null
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
    pg_ctl --pgdata "$PGDATA" --options "-c listen_addresses=''" --wait start > /dev/null
    createdb --username "$POSTGRES_USER" "$POSTGRES_DB" || true
    pg_ctl --pgdata "$PGDATA" --mode fast --wait stop > /dev/null
fi
[ "$1" != postgres ] || set -- "$@" -c listen_addresses='*'
exec "$@"

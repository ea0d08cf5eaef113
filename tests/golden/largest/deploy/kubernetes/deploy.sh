#!/usr/bin/env bash
# Migrates the database, then rolls out: `make deploy overlay=staging`. Kept by the template.
set -euo pipefail

overlay=${1:?say which overlay, for example deploy/kubernetes/overlays/staging}
manifests=$(mktemp)
trap 'rm -f "$manifests"' EXIT
kubectl kustomize "$overlay" > "$manifests"
namespace=$(awk '/^  namespace: / { print $2; exit }' "$manifests")
in_namespace=(${namespace:+--namespace="$namespace"})
job=--selector=app.kubernetes.io/name=payment-api,app.kubernetes.io/component=migration

# A Job can't be changed, so the last release's goes first. Then comes all that a pod needs, and the
# Job; what serves stays as it is until the database is migrated.
kubectl delete --filename="$manifests" "$job" --ignore-not-found
kubectl apply --filename="$manifests" --selector='app.kubernetes.io/component!=api'
if ! kubectl get secret payment-api-secrets "${in_namespace[@]}" > /dev/null; then
    echo "The migration waits for the Secret payment-api-secrets: make it, each key a setting (database_url, redis_url)." >&2
fi
echo "Migrating ..."
until
    # Not by the file: kubectl asks for all that is in it first, and the service isn't there yet.
    state=$(kubectl get jobs "${in_namespace[@]}" "$job" --output=jsonpath='{.items[*].status.conditions[?(@.status=="True")].type}')
    [[ $state == *Complete* ]]
do
    if [[ $state == *Failed* ]]; then
        kubectl logs "${in_namespace[@]}" "$job" --tail=50 >&2
        echo "The migration failed, and nothing was rolled out." >&2
        exit 1
    fi
    sleep 2
done

kubectl apply --filename="$manifests"
kubectl rollout status deployment/payment-api "${in_namespace[@]}" --timeout=20m

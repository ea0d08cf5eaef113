# Your own targets; `make` lists those that have a help line like this one.
.PHONY: reconcile consume

reconcile: $(UV) ## Compare requests, payments and events: day=2026-11-22, or request=<its id>
	@$(UV) run --quiet python -m payment_api.payments.reconcile \
		$(if $(day),--day $(day)) $(if $(request),--request $(request)) $(if $(json),--json)

consume: $(UV) ## Consume the payments' events from Redis: an example
	@$(UV) run --quiet python -m payment_api.payments.consumer

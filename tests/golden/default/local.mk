# Your own targets; `make` lists those that have a help line like this one.
.PHONY: reconcile

reconcile: $(UV) ## Compare requests, payments and events: day=2026-11-22, or request=<its id>
	@$(UV) run --quiet python -m payment_api.payments.reconcile \
		$(if $(day),--day $(day)) $(if $(request),--request $(request)) $(if $(json),--json)

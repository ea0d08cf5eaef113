# Your own targets, which `make` lists as well.
.PHONY: train

train: $(UV) ## Train the model anew: make train ARGS="--version 1.1.0"
	$(UV) run --group train python training/train.py $(ARGS)

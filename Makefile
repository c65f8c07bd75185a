# `make demo` and `make test` each do all they need on a machine with Python 3.11 or newer.
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(shell command -v $(name))))
BIN := .venv/bin
STAMP := .venv/installed.stamp

.PHONY: demo studio test env docs bench clean

demo: $(STAMP)
	$(BIN)/triptych demo --out demo-out

studio: $(STAMP)
	$(BIN)/triptych studio

test: $(STAMP)
	scripts/check

env: $(STAMP)

docs: $(STAMP)
	$(BIN)/python scripts/docs.py

$(STAMP): pyproject.toml requirements.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer was not found; install it or name it: make PYTHON=/path/to/python" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is older than 3.11; name another: make PYTHON=/path/to/python" >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

clean:
	rm -rf .venv demo-out .pytest_cache .ruff_cache .hypothesis .import_linter_cache

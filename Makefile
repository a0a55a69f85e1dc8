# make demo       sets everything up and runs the main job on the embedded generator
# make test       sets everything up and runs nine tests of ten, in five minutes (PROCESSES=8 where there are more cores)
# make test-slow  the others: clusters, browsers, kills, trainings, the demo, simulations; ten minutes
# make test-base  the base install, without torch, in an environment of its own
# make test-lowest  security and statistics tests with the lowest versions that pyproject.toml allows (3 GB to fetch)
# make check      lint, format and types
# make fuzz       damages files of every kind for a quarter of an hour; what escapes as a bug is kept (FUZZ="csv --seconds 5")
# make docs       builds the documentation into build/site; a broken link fails
# make mutants    changes the code that counts, infers and judges, and sees whether a test notices (MUTANTS="--n 40")
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TEST_READY := $(VENV)/.test-ready
# processes of one thread each: a file of tests stays together, so that what its tests share is made once,
# and long files begin first (tests/conftest.py)
PROCESSES ?= 2
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile --no-loadscope-reorder
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: demo test test-slow test-base test-lowest fuzz check docs mutants env clean

env: $(READY)

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)

$(READY): $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install -q -c constraints.txt -e '.[train]'
	touch $@

$(TEST_READY): $(READY)
	$(PIP) install -q -c constraints.txt -e '.[test]'
	sh tests/install_browser.sh
	touch $@

demo: $(READY)
	$(BIN)/audit demo --out demo

test: $(TEST_READY)
	$(PYTEST) -m "not slow"

test-slow: $(TEST_READY)
	$(PYTEST) -m slow

fuzz: $(TEST_READY)
	PYTHONPATH=. $(BIN)/python tests/fuzz.py $(FUZZ)

docs: $(TEST_READY)
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m mkdocs build --strict --quiet

mutants: $(TEST_READY)
	$(BIN)/python tests/mutants.py $(MUTANTS)

test-base:
	$(PYTHON) -m venv --clear $(VENV)-base
	$(VENV)-base/bin/python -m pip --disable-pip-version-check install -q -c constraints.txt -e .
	$(VENV)-base/bin/python tests/base_install.py

LOWEST := $(VENV)-lowest
LOWEST_TESTS ?= tests/detectors/isolation tests/detectors/models/test_foreign_files.py \
	tests/detectors/models/test_checkpoint.py tests/pipelines/sources/test_photos.py \
	tests/pipelines/test_untrusted.py tests/audit/data tests/audit/inference tests/audit/metrics tests/audit/schema

test-lowest: $(BIN)/python
	$(PIP) install -q -c constraints.txt uv
	$(BIN)/uv venv -q --clear --python $(BIN)/python $(LOWEST)
	$(BIN)/uv pip install -q --python $(LOWEST)/bin/python --resolution lowest-direct -e '.[onnx,explain]' \
		$(shell grep -E '^(pytest|hypothesis|onnx)==' constraints.txt)
	OMP_NUM_THREADS=1 $(LOWEST)/bin/python -m pytest $(LOWEST_TESTS)

check: $(TEST_READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) $(VENV)-base $(LOWEST) demo build *.egg-info

PYTHON ?= python3
VENV := .venv
LOWEST := .venv-lowest
UV := $(VENV)/bin/uv
RUN := $(VENV)/bin/python
CONSTRAINTS := constraints.txt
DATA := data/synthetic
DEMO := runs/demo
REPRODUCE := config/reproduce.yaml
ARCHIVES :=
FUZZ_CASES ?= 1000
RACE ?= config/race.yaml config/race_gpu.yaml
RACE_MINUTES ?= 9
TESTS ?= tests

.PHONY: help setup lock demo reproduce race-gpu test test-all test-lowest fuzz soak lint docs site clean-demo

help: ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/.installed ## environment in .venv (CONSTRAINTS= for the newest versions instead of the tested ones)

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "error: Python 3.11 to 3.13 is needed: make setup PYTHON=python3.12" >&2; exit 2; }
	@echo "setup 1 of 3: an environment of its own in $(VENV) (nothing outside is touched)"
	$(PYTHON) -m venv $(VENV)
	@echo "setup 2 of 3: the newest pip"
	$(RUN) -m pip install --quiet --upgrade pip
	@echo "setup 3 of 3: this project and what it needs, about 6 GB, most of it torch; some minutes without a word"
	PYTHONWARNINGS=ignore $(RUN) -m pip install --quiet --editable '.[dev]' $(addprefix --constraint ,$(CONSTRAINTS))
	@touch $@
	@echo "setup is done: source $(VENV)/bin/activate, then ae-pretrained --help"

# Without setup, which fails where a bound was raised above what constraints.txt says.
$(UV):
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet uv

# The builds of torch, and what they need of CUDA, differ between machines: left out of constraints.txt, as its head says.
lock: | $(UV) ## uv.lock, found by uv for all Pythons, and constraints.txt from it (UPGRADE=--upgrade: the newest versions)
	$(UV) lock --quiet $(UPGRADE)
	grep '^#' constraints.txt >$(VENV)/constraints.new
	$(UV) export --quiet --locked --all-extras --no-emit-project --no-hashes --no-annotate --no-header \
	  --output-file $(VENV)/constraints.all >/dev/null
	grep -vE '^(torch|torchvision|triton|nvidia-[a-z0-9-]+|cuda-[a-z0-9-]+)==' $(VENV)/constraints.all >>$(VENV)/constraints.new
	mv $(VENV)/constraints.new constraints.txt

demo: setup ## the whole job on drawn pictures, in minutes
	$(RUN) -m data.prepare --config config/demo.yaml --output_dir $(DATA)
	$(RUN) -m reconstruction.train --config config/demo.yaml --data_dir $(DATA) --output_dir $(DEMO)/reconstruction
	$(RUN) -m transfer_learning.train --config config/demo.yaml --data_dir $(DATA) --output_dir $(DEMO)/scratch
	$(RUN) -m transfer_learning.train --config config/demo.yaml --data_dir $(DATA) --output_dir $(DEMO)/pretrained \
	  --pretrained_encoder $(DEMO)/reconstruction/best_model.safetensors
	$(RUN) -m reconstruction.evaluate --data_dir $(DATA) --output_dir $(DEMO)/results/reconstruction --analyze_latent_space \
	  --model_path $(DEMO)/reconstruction/best_model.safetensors
	$(RUN) -m transfer_learning.evaluate --data_dir $(DATA) --output_dir $(DEMO)/results/scratch \
	  --model_path $(DEMO)/scratch/best_model.safetensors
	$(RUN) -m transfer_learning.evaluate --data_dir $(DATA) --output_dir $(DEMO)/results/pretrained \
	  --model_path $(DEMO)/pretrained/best_model.safetensors
	$(RUN) -m experiments.tables --results $(DEMO)/results
	$(RUN) -m experiments.report $(DEMO)/scratch $(DEMO)/pretrained $(DEMO)/reconstruction $(DEMO)/results \
	  --output $(DEMO)/report.html
	@echo "open $(CURDIR)/$(DEMO)/report.html in a browser"

reproduce: setup ## the original experiment in full, 512 px and 200 epochs: for a GPU (ARCHIVES=DIR instead of a download)
	$(RUN) -m data.prepare --config $(REPRODUCE) $(if $(ARCHIVES),--archives $(ARCHIVES),--download)
	$(RUN) -m experiments.ablate --config $(REPRODUCE)
	$(RUN) -m experiments.tables --config $(REPRODUCE)

# A stop by the clock is no failure: trainings save and leave (143), and the same command goes on.
race-gpu: setup ## the race at 256 px on a GPU, RACE_MINUTES at a time, the same again goes on (ARCHIVES=DIR; RACE=... with race_gpu_32.yaml: width 32)
	$(RUN) -m data.prepare --config config/race_gpu.yaml $(if $(ARCHIVES),--archives $(ARCHIVES),--download)
	timeout --signal TERM $(RACE_MINUTES)m $(RUN) -m experiments.ablate --config $(RACE) \
	  || { code=$$?; test $$code -eq 143 -o $$code -eq 124; }
	-$(RUN) -m experiments.tables --results evaluation_results/$$(basename $(lastword $(RACE)) .yaml)

# By file, since a file's tests share what its fixtures train.
test: setup ## what must pass before a change lands: minutes on two cores
	$(RUN) -m pytest -n 2 --dist loadfile

test-all: setup ## those and the longer ones
	$(RUN) -m pytest -n 2 --dist loadfile -m 'not soak'

$(LOWEST)/.installed: pyproject.toml | $(UV)
	$(PYTHON) -m venv --clear $(LOWEST)
	$(UV) pip install --quiet --python $(LOWEST) --resolution lowest-direct --editable '.[dev]'
	@touch $@

test-lowest: $(LOWEST)/.installed ## test with the lowest versions of pyproject.toml, set by uv in .venv-lowest (TESTS=tests/core: a part)
	$(LOWEST)/bin/python -m pytest -n 2 --dist loadfile $(TESTS)

fuzz: setup ## damage all that commands read, FUZZ_CASES times, and fail on what is not refused or told in a line
	PYTHONPATH=.:tests $(RUN) -m fuzz --cases $(FUZZ_CASES) --output runs/fuzz.json

soak: setup ## kill every command at random moments, often, and compare what comes out
	$(RUN) -m pytest -m soak -s tests/core/test_killed.py tests/test_killed_commands.py

lint: setup ## ruff and mypy
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

docs: setup ## docs/settings.md and requirements.txt, from the code and pyproject.toml
	$(RUN) -m core.settings_page
	$(RUN) -c 'import tomllib; print("# Written by `make docs`: pip install -r requirements.txt", "--constraint constraints.txt", \
	  *tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' >requirements.txt

site: setup ## the documentation as a site in site/, to be read in a browser (pip install -e '.[docs]' -c constraints.txt first)
	$(RUN) -m core.site_pages
	$(RUN) -m zensical build --clean --strict
	@echo "open $(CURDIR)/site/index.html in a browser"

clean-demo: ## remove what the demo made
	rm -rf $(DATA) $(DEMO)

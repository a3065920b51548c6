# The machine's Go may be older than go.mod asks for: let it fetch the right one.
export GOTOOLCHAIN := auto
export CGO_ENABLED := 0

# A Python with PyTorch, NumPy and Pillow: Debian's, with python3-torch and python3-pil.
TORCH ?= /usr/bin/python3

PHOTO ?= testdata/photos/panda.jpg

# No target is a file.
.PHONY: $(shell sed -n 's/^\([a-z0-9-]*\):.*/\1/p' Makefile)
.DEFAULT_GOAL := build

build: ## the command, ./rfga-edge
	go build -trimpath -o rfga-edge ./cmd/rfga-edge

demo: build ## localize a photo with the embedded model: make demo PHOTO=my.jpg; the overlay goes to out/
	./rfga-edge localize --overlay out $(PHOTO)

test: ## all tests of this machine
	go vet ./...
	go test ./...

soak: ## 200,000 frames through everything that stream does, damaged ones among them; memory, goroutines and allocations must not grow
	RFGA_SOAK=200000 go test -count=1 -timeout 2h -v -run TestSoak ./cmd/rfga-edge

generate: ## write asm/*.s and their stubs again from asm/_gen
	go generate ./asm

plugin: ## rfga-edge.wasm with the embedded model, rfga-edge-nomodel.wasm without, rfga-edge-nosimd.wasm for hosts without SIMD, rfga-edge-extism.wasm
	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -trimpath -ldflags='-s -w' -tags defaultmodel -o rfga-edge.wasm ./plugin/module
	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -trimpath -ldflags='-s -w' -o rfga-edge-nomodel.wasm ./plugin/module
	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -trimpath -ldflags='-s -w' -tags defaultmodel,purego -o rfga-edge-nosimd.wasm ./plugin/module
	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -trimpath -ldflags='-s -w' -o rfga-edge-extism.wasm ./plugin/extism

plugin-hosts: build plugin ## run the example hosts: Go, Extism, Node, Python, a browser, Rust
	bash examples/plugin/test.sh

plugin-bench: build plugin ## the plugin beside onnxruntime-web and the native runtime, the table goes into BENCHMARKS.md: make plugin-bench PEERS=DIR
	$(or $(PEERS),$(error PEERS=DIR is missing))/v_ort/bin/python cmd/rfga-edge/peers/wasm.py $(PEERS) --rfga ./rfga-edge --modules . --report BENCHMARKS.md $(PEERS_FLAGS)

release: ## static binaries for every platform with checksums and an SBOM, into dist/
	bash cmd/rfga-edge/dist/release.sh dist

mca: ## cycles per product of the arm64 inner loops by llvm-mca, as in asm/_gen/mca/REPORT.md
	cd asm/_gen && go run ./mca

fmt:
	gofmt -w $$(git ls-files '*.go')

onnx-zoo: ## export torchvision's classifiers and compare with ONNX Runtime, fp32 and int8: make onnx-zoo DIR=...
	$(TORCH) convert/onnx/testdata/zoo.py export $(or $(DIR),$(error DIR=... is missing))
	$(or $(ORT),python3) convert/onnx/testdata/zoo.py run $(DIR)
	RFGA_ONNX_MODELS=$(abspath $(DIR)) go test -count=1 -timeout 60m ./convert -run TestZoo -v

recipe: build ## train CAM and RFGA alike and compare them, the table goes to OUT/table.md; hours: make recipe DATA=dir OUT=dir
	PYTHON=$(TORCH) sh train/get_data.sh $(or $(DATA),$(error DATA=dir is missing))
	$(TORCH) train/recipe.py $(DATA) $(or $(OUT),$(error OUT=dir is missing)) $(RECIPE_FLAGS)

default-model: build ## train, quantize and check defaultmodel/default.rfga; UPDATE=1 takes a new one over: make default-model [WORK=dir]
	TORCH=$(TORCH) sh defaultmodel/build/build.sh $(WORK)

pictures: build ## draw the README's pictures again, testdata/*.jpg
	dir=$$(mktemp -d) && ./rfga-edge localize --overlay $$dir --attention $$dir testdata/photos && $(TORCH) testdata/pictures.py $$dir && rm -r $$dir

model-card: build ## measure the built-in model beside its float form and plain CAM; tables into its card and README.md: make model-card DATA=dir WORK=dir
	PYTHON=$(TORCH) sh train/get_data.sh $(or $(DATA),$(error DATA=dir is missing))
	TORCH=$(TORCH) sh defaultmodel/build/build.sh $(or $(WORK),$(error WORK=dir is missing))
	$(TORCH) defaultmodel/build/measure.py $(DATA) $(WORK)

peers-setup: ## install other runtimes and make the models to compare with: make peers-setup PEERS=DIR [ALL=1]
	sh cmd/rfga-edge/peers/setup.sh $(or $(PEERS),$(error PEERS=DIR is missing)) $(if $(ALL),all)

peers-avx2: ## copies of the peers that use AVX2 and nothing newer, for make peers PEERS=DIR/avx2: make peers-avx2 PEERS=DIR
	python3 cmd/rfga-edge/peers/avx2only.py $(or $(PEERS),$(error PEERS=DIR is missing))

peers: build ## measure them and us in turn, and write the table into BENCHMARKS.md: make peers PEERS=DIR
	$(or $(PEERS),$(error PEERS=DIR is missing))/v_ort/bin/python cmd/rfga-edge/peers/bench.py $(PEERS) --rfga ./rfga-edge $(PEERS_FLAGS)
	python3 cmd/rfga-edge/peers/report.py $(PEERS)/peers.json BENCHMARKS.md

int8-accuracy: build ## int8 of real weights beside ONNX Runtime's and NNCF's, the table goes into BENCHMARKS.md: make int8-accuracy DIR=dir
	sh cmd/rfga-edge/peers/accuracy/run.sh $(or $(DIR),$(error DIR=dir is missing))

ci: ## what every submission runs
	bash .ci/run

ci-full: ci ## the rest: every forged file, the tutorial with its training, longer fuzzing
	RFGA_EXHAUSTIVE=1 go test -count=1 ./runtime ./convert/onnx
	RFGA_TRAIN=1 go test -count=1 -timeout 60m -v ./docs
	FUZZTIME=60s bash .ci/fuzz
	$(MAKE) plugin-hosts
	bash cmd/rfga-edge/dist/release.sh dist --run

# Forwards to scripts/install-dependencies (packages) and CMakePresets.json (the build).
.PHONY: explore report test build clean
.DEFAULT_GOAL := explore

build:
	@scripts/install-dependencies
	@test -f build/release/build.ninja || cmake --preset release -DCPUBONE_DEVELOPER_MODE=OFF
	@cmake --build --preset release

explore: build
	@build/release/cli/cpubone-explore --device host -o cpubone-out

report: build
	@build/release/cli/cpubone-report reports/example/result.json -o out/example

test:
	@scripts/install-dependencies --test
	@test -f build/dev/build.ninja || cmake --preset dev
	@cmake --build --preset dev
	@ctest --preset dev

clean:
	rm -rf build

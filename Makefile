# Forwards to scripts/install-dependencies (packages) and CMakePresets.json (the build).
# explore, report and test share one build folder; only test configures and builds the tests in it.
# XNNPACK=upstream builds XNNPACK from source instead of using the system's, in a folder of its own.
.PHONY: explore report test check tools clean
.DEFAULT_GOAL := explore
jobs := $(shell getconf _NPROCESSORS_ONLN)
XNNPACK ?= system
preset := $(if $(filter upstream,$(XNNPACK)),upstream,release)
packages := $(if $(filter upstream,$(XNNPACK)),--upstream)

tools:
	@scripts/install-dependencies $(packages)
	@test -f build/$(preset)/build.ninja || cmake --preset $(preset) -DCPUBONE_DEVELOPER_MODE=OFF
	@cmake --build --preset $(preset) --target cpubone_tools

explore: tools
	@build/$(preset)/cli/cpubone-explore --device host -o cpubone-out

report: tools
	@build/$(preset)/cli/cpubone-report reports/example/result.json -o out/example

test:
	@scripts/install-dependencies --test $(packages)
	@cmake --preset $(preset) -DCPUBONE_DEVELOPER_MODE=ON
	@cmake --build --preset $(preset)
	@ctest --preset $(preset) -j $(jobs)

# Memory and arithmetic are watched in the tests, then parsers meet 60 s of made-up input.
check:
	@scripts/install-dependencies --test --check
	@cmake --preset asan
	@cmake --build --preset asan
	@ctest --preset asan -j $(jobs)
	@cmake --preset fuzz
	@cmake --build --preset fuzz
	@ctest --preset fuzz -j $(jobs)

clean:
	rm -rf build

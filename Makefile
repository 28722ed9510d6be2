# Forwards to scripts/install-dependencies (packages) and CMakePresets.json (the build).
# explore, report and test share one build folder; only test configures and builds the tests in it.
.PHONY: explore report test tools clean
.DEFAULT_GOAL := explore
jobs := $(shell nproc)

tools:
	@scripts/install-dependencies
	@test -f build/release/build.ninja || cmake --preset release -DCPUBONE_DEVELOPER_MODE=OFF
	@cmake --build --preset release --target cpubone_tools

explore: tools
	@build/release/cli/cpubone-explore --device host -o cpubone-out

report: tools
	@build/release/cli/cpubone-report reports/example/result.json -o out/example

test:
	@scripts/install-dependencies --test
	@cmake --preset release -DCPUBONE_DEVELOPER_MODE=ON
	@cmake --build --preset release
	@ctest --preset release -j $(jobs)

clean:
	rm -rf build

# Forwards to scripts/install-dependencies (packages) and CMakePresets.json (the build).
# explore, report and test share one build folder; only test configures and builds the tests in it.
.PHONY: explore report test check tools clean
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

# Memory and arithmetic are watched in the tests, then each parser meets 60 s of made-up input.
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

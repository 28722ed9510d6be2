# XNNPACK at a commit that is pinned here, built from source by Clang: GCC 12 and 13 keep an accumulator of the AVX2 kernels
# on the stack, which halves their speed. Sources are downloaded, or taken from FETCHCONTENT_SOURCE_DIR_{XNNPACK,CPUINFO,
# PTHREADPOOL,FXDIV} and, for 64-bit Arm, KLEIDIAI. Defines XNNPACK::XNNPACK, XNNPACK::pthreadpool and XNNPACK_VERSION.
include(ExternalProject)
include(FetchContent)
include(XnnpackArchives)

# Only fetches: the subfolder in which there would be something to configure is not there.
function(cpubone_fetch name url sha256)
  FetchContent_Declare(${name} URL "https://${url}" URL_HASH SHA256=${sha256} DOWNLOAD_EXTRACT_TIMESTAMP ON
                       SOURCE_SUBDIR only-fetched)
  FetchContent_MakeAvailable(${name})
  set(${name}_SOURCE_DIR "${${name}_SOURCE_DIR}" PARENT_SCOPE)
endfunction()
set(xnnpack_commit 75db3c093b6d74fe90b8df82670cd8a01102ba38)  # of 2026-08-21
cpubone_fetch(xnnpack github.com/google/XNNPACK/archive/${xnnpack_commit}.zip
              2da6caa317af3404a24f2dca08a43ff7382c09532008adbe0bc1df84dd451cb1)
cpubone_fetch(cpuinfo github.com/pytorch/cpuinfo/archive/6882af581bbbdd073c946eae4fd21bc037ff39cf.zip
              dcb29a31da2c90c17d922d0db24edeec106742599cbeddc9046060d911ac47a0)
cpubone_fetch(pthreadpool github.com/google/pthreadpool/archive/0e6ca13779b57d397a5ba6bfdcaa8a275bc8ea2e.zip
              f602ab141bdc5d5872a79d6551e9063b5bfa7ad6ad60cceaa641de5c45c86d70)
cpubone_fetch(fxdiv github.com/Maratyszcza/FXdiv/archive/63058eff77e11aa15bf531df5dd34395ec3017c8.zip
              3d7b0e9c4c658a84376a1086126be02f9b7f753caa95e009d9ac38d11da444db)
if(kleidiai IN_LIST cpubone_xnnpack_parts)
  set(kleidiai_commit 13cd35993d8439143aff1e756a862d366acded0d)
  cpubone_fetch(kleidiai gitlab.arm.com/kleidi/kleidiai/-/archive/${kleidiai_commit}/kleidiai-${kleidiai_commit}.zip
                b30044217e8e6f131aea4906e87a9908e78828822576d280af7ce68eda4578fd)
endif()

find_program(CPUBONE_CLANG NAMES clang-19 clang-18 clang-17 clang-16 clang DOC "C compiler of XNNPACK from source")
if(NOT CPUBONE_CLANG)
  message(FATAL_ERROR "XNNPACK from source is built by Clang: install clang (scripts/install-dependencies --upstream), or set "
          "CPUBONE_XNNPACK=system")
endif()
set(xnnpack_target "")
if(CMAKE_CROSSCOMPILING)
  set(xnnpack_target -DCMAKE_SYSTEM_NAME=${CMAKE_SYSTEM_NAME} -DCMAKE_SYSTEM_PROCESSOR=${CMAKE_SYSTEM_PROCESSOR})
  foreach(language C CXX ASM)
    list(APPEND xnnpack_target -DCMAKE_${language}_COMPILER_TARGET=${CMAKE_LIBRARY_ARCHITECTURE})
  endforeach()
endif()
string(REGEX REPLACE "clang((-[0-9]+)?)$" "clang++\\1" clangxx "${CPUBONE_CLANG}")
execute_process(COMMAND "${CPUBONE_CLANG}" -dumpversion OUTPUT_VARIABLE clang_version OUTPUT_STRIP_TRAILING_WHITESPACE
                COMMAND_ERROR_IS_FATAL ANY)
string(SUBSTRING ${xnnpack_commit} 0 7 XNNPACK_VERSION)
set(XNNPACK_VERSION "git20260821.${XNNPACK_VERSION} (clang ${clang_version})")

# Headers at once, for what is asked of them while this project is configured.
set(xnnpack_prefix "${PROJECT_BINARY_DIR}/xnnpack")
file(COPY "${xnnpack_SOURCE_DIR}/include/xnnpack.h" "${pthreadpool_SOURCE_DIR}/include/pthreadpool.h"
     DESTINATION "${xnnpack_prefix}/include")
file(COPY "${xnnpack_SOURCE_DIR}/LICENSE" DESTINATION "${xnnpack_prefix}")
if(kleidiai_SOURCE_DIR)
  file(COPY "${kleidiai_SOURCE_DIR}/LICENSES" DESTINATION "${xnnpack_prefix}/kleidiai")
endif()
foreach(name XNNPACK pthreadpool ${cpubone_xnnpack_parts})
  list(APPEND xnnpack_archives "${xnnpack_prefix}/lib/lib${name}.a")
endforeach()
ExternalProject_Add(xnnpack_upstream
  SOURCE_DIR "${xnnpack_SOURCE_DIR}" BINARY_DIR "${xnnpack_prefix}-build" INSTALL_DIR "${xnnpack_prefix}"
  CMAKE_ARGS
    -DCMAKE_BUILD_TYPE=Release -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DCMAKE_INSTALL_PREFIX=<INSTALL_DIR> -DCMAKE_INSTALL_LIBDIR=lib
    ${xnnpack_target} "-DCMAKE_C_COMPILER=${CPUBONE_CLANG}" "-DCMAKE_CXX_COMPILER=${clangxx}" "-DCMAKE_ASM_COMPILER=${CPUBONE_CLANG}"
    -DXNNPACK_LIBRARY_TYPE=static -DXNNPACK_BUILD_TESTS=OFF -DXNNPACK_BUILD_BENCHMARKS=OFF
    -DXNNPACK_BUILD_ALL_MICROKERNELS=OFF -DXNNPACK_ENABLE_KLEIDIAI=ON  # where it has a source, for Arm
    "-DCPUINFO_SOURCE_DIR=${cpuinfo_SOURCE_DIR}" "-DPTHREADPOOL_SOURCE_DIR=${pthreadpool_SOURCE_DIR}"
    "-DFXDIV_SOURCE_DIR=${fxdiv_SOURCE_DIR}" "-DKLEIDIAI_SOURCE_DIR=${kleidiai_SOURCE_DIR}"
  BUILD_COMMAND "${CMAKE_COMMAND}" --build <BINARY_DIR> --target install
  INSTALL_COMMAND "" BUILD_BYPRODUCTS ${xnnpack_archives} USES_TERMINAL_BUILD ON)
cpubone_xnnpack_archives("${xnnpack_prefix}")
# Ninja knows by the files what waits for them, and compiles everything else meanwhile.
if(NOT CMAKE_GENERATOR MATCHES Ninja)
  add_dependencies(XNNPACK::XNNPACK xnnpack_upstream)
endif()

# Cross build for 64-bit Arm with Debian's compiler and the packages of scripts/make-aarch64-sysroot.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)

cmake_path(SET sysroot NORMALIZE "${CMAKE_CURRENT_LIST_DIR}/../build/aarch64-sysroot")
set(CPUBONE_SYSROOT "${sysroot}" CACHE PATH "Folder of make-aarch64-sysroot")
if(NOT EXISTS "${CPUBONE_SYSROOT}/usr/include")
  message(FATAL_ERROR "no arm64 packages in ${CPUBONE_SYSROOT}: run scripts/make-aarch64-sysroot")
endif()
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES CPUBONE_SYSROOT)

# Libraries and headers come from there, programs from this machine.
set(CMAKE_FIND_ROOT_PATH "${CPUBONE_SYSROOT}")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
# What found libraries need in turn.
add_link_options("LINKER:-rpath-link,${CPUBONE_SYSROOT}/usr/lib/aarch64-linux-gnu"
                 "LINKER:-rpath-link,${CPUBONE_SYSROOT}/lib/aarch64-linux-gnu")

find_program(CPUBONE_QEMU qemu-aarch64)
if(CPUBONE_QEMU)
  set(CMAKE_CROSSCOMPILING_EMULATOR "${CPUBONE_QEMU};-L;${CPUBONE_SYSROOT}")
endif()

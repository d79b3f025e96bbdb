# For arm64, on another machine: Debian's cross compiler over a sysroot of unpacked packages. scripts/cross-arm64 makes it
# and names it in MCPFLEET_SYSROOT.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
# Checks of CMake read this file without the command line's variables.
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES MCPFLEET_SYSROOT)
if(NOT MCPFLEET_SYSROOT)
  message(FATAL_ERROR "MCPFLEET_SYSROOT is not set: use scripts/cross-arm64")
endif()
set(CMAKE_SYSROOT ${MCPFLEET_SYSROOT})
set(CMAKE_FIND_ROOT_PATH ${MCPFLEET_SYSROOT})
# Programs are this machine's, everything else the sysroot's.
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${MCPFLEET_SYSROOT})
set(ENV{PKG_CONFIG_LIBDIR} ${MCPFLEET_SYSROOT}/usr/lib/aarch64-linux-gnu/pkgconfig:${MCPFLEET_SYSROOT}/usr/share/pkgconfig)
set(ENV{PKG_CONFIG_PATH} "")

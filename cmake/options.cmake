# SPDX-License-Identifier: BSD-2-Clause-Patent
# Options, warnings, hardening and sanitizers, as two interface targets that every target links:
# drpc_flags (how code is compiled) and drpc_includes (where the rooms of the house are found).
option(DRPC_BUILD_TESTS "Build the tests and examples" ON)
option(DRPC_BUILD_BENCH "Build the benchmarks" ON)
option(DRPC_BUILD_FUZZERS "Build the fuzz harnesses with libFuzzer (needs clang)" OFF)
option(DRPC_HARDENING "Build with hardening flags" ON)
option(DRPC_WERROR "Treat warnings as errors" OFF)
set(DRPC_SANITIZE "" CACHE STRING "Sanitizers to build with, such as address,undefined or thread")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

add_library(drpc_flags INTERFACE)
target_compile_definitions(drpc_flags INTERFACE _GNU_SOURCE)
target_compile_options(drpc_flags INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wundef -Wvla -Wpointer-arith -Wcast-qual
  -Wwrite-strings -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wformat=2
  -Wnull-dereference -Wimplicit-fallthrough -Wdouble-promotion -Wno-missing-field-initializers
  -fno-common -fno-strict-aliasing)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  target_compile_options(drpc_flags INTERFACE -Wlogical-op -Wduplicated-cond -Wduplicated-branches)
else()
  # As GCC does unasked: how a file was compiled stands in its debug information, where
  # tests/hardening.py reads it.
  target_compile_options(drpc_flags INTERFACE -grecord-command-line)
endif()
if(DRPC_WERROR)
  target_compile_options(drpc_flags INTERFACE -Werror)
endif()

if(DRPC_SANITIZE)
  target_compile_options(drpc_flags INTERFACE
    -fsanitize=${DRPC_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    # What GCC follows through its own checks misleads these two; the other builds have them.
    target_compile_options(drpc_flags INTERFACE -Wno-null-dereference -Wno-format-truncation)
  endif()
  target_link_options(drpc_flags INTERFACE -fsanitize=${DRPC_SANITIZE})
endif()

if(DRPC_HARDENING)
  target_compile_options(drpc_flags INTERFACE
    -fstack-protector-strong -fstack-clash-protection -ftrivial-auto-var-init=zero)
  if(CMAKE_C_COMPILER_ID STREQUAL "Clang" AND CMAKE_C_COMPILER_VERSION VERSION_LESS 16)
    target_compile_options(drpc_flags INTERFACE
      -enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang)
  endif()
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    # The linker keeps a mark only when every file has it, and Debian 12's start files have none. They
    # leave return addresses alone, so the shadow stack's mark is true. Branch tracking's would not be.
    target_compile_options(drpc_flags INTERFACE -fcf-protection=full)
    target_link_options(drpc_flags INTERFACE LINKER:-z,shstk)
  endif()
  if(NOT DRPC_SANITIZE AND NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
    target_compile_options(drpc_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
  endif()
  target_link_options(drpc_flags INTERFACE
    LINKER:-z,relro LINKER:-z,now LINKER:-z,noexecstack LINKER:-z,separate-code LINKER:--as-needed)
endif()
include(CheckPIESupported)
check_pie_supported()

add_library(drpc_includes INTERFACE)
target_include_directories(drpc_includes INTERFACE
  ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)

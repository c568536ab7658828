# SPDX-License-Identifier: BSD-2-Clause-Patent
# drpc_protobuf(TARGET FILE...): an object library of the protobuf-c code that protoc-c makes of FILE...
# Generated code is compiled with the project's hardening but not judged by its warnings.
find_program(PROTOC_C NAMES protoc-c REQUIRED)

function(drpc_protobuf target)
  set(out ${PROJECT_BINARY_DIR}/proto)
  file(MAKE_DIRECTORY ${out})
  set(sources)
  foreach(proto IN LISTS ARGN)
    cmake_path(GET proto STEM name)
    cmake_path(GET proto PARENT_PATH dir)
    add_custom_command(
      OUTPUT ${out}/${name}.pb-c.c ${out}/${name}.pb-c.h
      COMMAND ${PROTOC_C} --c_out=${out} --proto_path=${dir} ${proto}
      DEPENDS ${proto})
    list(APPEND sources ${out}/${name}.pb-c.c ${out}/${name}.pb-c.h)
  endforeach()
  add_library(${target} OBJECT ${sources})
  target_link_libraries(${target} PUBLIC drpc_flags PkgConfig::PROTOBUF_C)
  target_include_directories(${target} PUBLIC ${out})
  target_compile_options(${target} PRIVATE -w)
endfunction()

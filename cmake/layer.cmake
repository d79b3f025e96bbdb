# mcpfleet_layer(<folder> [SMALL] [USES <folder>...] [LIBS <target>...])
#
# SMALL: a release is compiled for size (-Os). For what runs when something changed, not with every message: code that is
# in memory and does nothing is what a small box pays for.
#
# The static library of one folder: every .cc file directly in it. USES lists the folders it may include;
# linking and tests/tools/check_layers both read it. A folder without .cc files is an INTERFACE library.
set_property(GLOBAL PROPERTY mcpfleet_layer_table "")  # "folder:uses" lines for check_layers

# mcpfleet_code_of_headers(<target with precompiled headers> <target>...)
#
# Clang: what the headers define inline, and the JSON library's templates, is compiled once, to <target>_code, which
# every user links; else each file compiles what it uses of it again, three times the work. GCC can't.
function(mcpfleet_code_of_headers pch)
  if(NOT MCPFLEET_CODE_OF_HEADERS)
    return()
  endif()
  target_compile_options(${pch} PRIVATE -fpch-instantiate-templates "SHELL:-Xclang -fmodules-codegen")
  set(object ${CMAKE_BINARY_DIR}/${pch}_code.o)
  separate_arguments(flags UNIX_COMMAND "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_DEBUG}")
  add_custom_command(OUTPUT ${object}
    COMMAND ${CMAKE_CXX_COMPILER} ${flags} $<TARGET_PROPERTY:mcpfleet_flags,INTERFACE_COMPILE_OPTIONS> -w -ffunction-sections -fPIE
            -c ${CMAKE_BINARY_DIR}/CMakeFiles/${pch}.dir/cmake_pch.hxx.pch -o ${object}
    DEPENDS ${pch} COMMAND_EXPAND_LISTS VERBATIM COMMENT "Compiling the code of ${pch}'s headers")
  add_library(${pch}_code STATIC ${object})
  set_target_properties(${pch}_code PROPERTIES LINKER_LANGUAGE CXX)
  target_link_libraries(${pch}_code INTERFACE ${ARGN})
  target_link_options(${pch}_code INTERFACE -Wl,--gc-sections)
endfunction()

if(MCPFLEET_PCH)
  file(WRITE ${CMAKE_BINARY_DIR}/pch.cc.in "")
  configure_file(${CMAKE_BINARY_DIR}/pch.cc.in ${CMAKE_BINARY_DIR}/pch.cc COPYONLY)
  set(MCPFLEET_CODE_OF_HEADERS OFF)
  set(MCPFLEET_JSON_HEADER "")
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang" AND CMAKE_BUILD_TYPE STREQUAL "Debug")
    set(MCPFLEET_CODE_OF_HEADERS ON)
    set(MCPFLEET_JSON_HEADER ${CMAKE_SOURCE_DIR}/cmake/json_templates.h)
  endif()
  add_library(mcpfleet_pch STATIC ${CMAKE_BINARY_DIR}/pch.cc)
  target_link_libraries(mcpfleet_pch PUBLIC mcpfleet_flags nlohmann_json::nlohmann_json absl::status absl::statusor CLI11::CLI11)
  target_include_directories(mcpfleet_pch PUBLIC ${CMAKE_SOURCE_DIR})
  set(headers
    <algorithm> <array> <atomic> <chrono> <condition_variable> <deque> <functional> <map> <memory> <mutex>
    <optional> <set> <span> <sstream> <string> <string_view> <thread> <tuple> <unordered_map> <utility>
    <variant> <vector> <absl/status/statusor.h> <nlohmann/json.hpp> ${MCPFLEET_JSON_HEADER})
  target_precompile_headers(mcpfleet_pch PRIVATE ${headers} $<$<BOOL:${MCPFLEET_CODE_OF_HEADERS}>:<CLI/CLI.hpp$<ANGLE-R>>)
  mcpfleet_code_of_headers(mcpfleet_pch absl::status absl::statusor)
  if(CMAKE_BUILD_TYPE STREQUAL "Release")
    add_library(mcpfleet_pch_small STATIC ${CMAKE_BINARY_DIR}/pch.cc)
    target_link_libraries(mcpfleet_pch_small PUBLIC mcpfleet_pch)
    target_compile_options(mcpfleet_pch_small PRIVATE -Os)
    target_precompile_headers(mcpfleet_pch_small PRIVATE ${headers})
  endif()
endif()

function(mcpfleet_target_name folder out)
  string(REPLACE "/" "_" name "${folder}")
  string(REPLACE "-" "_" name "${name}")
  set(${out} "mcpfleet_${name}" PARENT_SCOPE)
endfunction()

function(mcpfleet_layer folder)
  cmake_parse_arguments(ARG "SMALL" "" "USES;LIBS" ${ARGN})
  mcpfleet_target_name(${folder} target)
  set(deps "")
  foreach(use IN LISTS ARG_USES)
    mcpfleet_target_name(${use} use_target)
    list(APPEND deps ${use_target})
  endforeach()
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.cc)
  list(FILTER sources EXCLUDE REGEX "/main\\.cc$")
  if(sources)
    add_library(${target} STATIC ${sources})
    target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/generated)
    target_link_libraries(${target} PUBLIC mcpfleet_flags ${deps} ${ARG_LIBS} Threads::Threads)
    set(pch mcpfleet_pch)
    if(ARG_SMALL AND CMAKE_BUILD_TYPE STREQUAL "Release")
      target_compile_options(${target} PRIVATE -Os)
      set(pch mcpfleet_pch_small)
    endif()
    if(MCPFLEET_PCH)
      target_link_libraries(${target} PUBLIC nlohmann_json::nlohmann_json absl::status absl::statusor)
      if(TARGET mcpfleet_pch_code)
        target_link_libraries(${target} PUBLIC mcpfleet_pch_code)
      endif()
      target_precompile_headers(${target} REUSE_FROM ${pch})
    endif()
  else()
    add_library(${target} INTERFACE)
    target_include_directories(${target} INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/generated)
    target_link_libraries(${target} INTERFACE mcpfleet_flags ${deps} ${ARG_LIBS})
  endif()
  list(JOIN ARG_USES "," uses)
  set_property(GLOBAL APPEND_STRING PROPERTY mcpfleet_layer_table "${folder}:${uses}\n")
endfunction()

# libFuzzer targets: tests/fuzz/<name>_fuzz.cc, corpus in tests/fuzz/corpus/<name>/. scripts/test runs each for a
# short time in tier 1. They link every layer below the programs.
# Without this the fuzzer sees only its own file's branches, none of the code under test.
target_compile_options(mcpfleet_flags INTERFACE -fsanitize=fuzzer-no-link)

file(GLOB fuzz_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/fuzz/*_fuzz.cc)
foreach(source IN LISTS fuzz_sources)
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} ${source})
  target_compile_options(${name} PRIVATE -fsanitize=fuzzer)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  target_link_libraries(${name} PRIVATE mcpfleet_cli_convert mcpfleet_crd mcpfleet_store mcpfleet_store_server mcpfleet_edge_runtime_mcp
    mcpfleet_edge_runtime_docker mcpfleet_edge_runtime_shim mcpfleet_edge_runtime_gateway mcpfleet_base_http mcpfleet_base)
endforeach()

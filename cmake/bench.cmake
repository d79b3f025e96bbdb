# Benchmarks: the programs of bench/gateway, which speak to mcplet from outside and link nothing of it.
function(mcpfleet_bench name)
  list(TRANSFORM ARGN PREPEND ${CMAKE_SOURCE_DIR}/bench/gateway/)
  add_executable(${name} ${ARGN})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE mcpfleet_flags)
endfunction()
mcpfleet_bench(bench_load load.cc load_calls.cc load_sessions.cc load_pipe.cc client.cc http_answer.cc wire.cc)
mcpfleet_bench(bench_bridge bare_bridge.cc)
mcpfleet_bench(bench_echo echo_server.cc)
target_link_options(bench_echo PRIVATE -static)
# Log shipping without the rest of mcplet.
add_executable(bench_ship ${CMAKE_SOURCE_DIR}/bench/logs/ship.cc)
target_link_libraries(bench_ship PRIVATE mcpfleet_edge_runtime_logship mcpfleet_edge_runtime_log)

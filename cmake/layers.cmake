# The layers. Lower never includes higher; adapters (docker containerd process shim probe gateway logship telemetry) implement
# ports and never include each other (log is the file format that two of them share, engine what container engines have
# in common); edge-runtime/mcplet wires them.
set(J nlohmann_json::nlohmann_json)

mcpfleet_layer(base LIBS absl::status absl::statusor OpenSSL::Crypto ${J})
# The build's time is an input, not the clock's: the same source gives the same bytes.
set(MCPFLEET_BUILD_TIME "$ENV{SOURCE_DATE_EPOCH}")
if(NOT MCPFLEET_BUILD_TIME MATCHES "^[0-9]+$")
  execute_process(COMMAND git -C ${CMAKE_SOURCE_DIR} log -1 --format=%ct
                  OUTPUT_VARIABLE MCPFLEET_BUILD_TIME OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
if(NOT MCPFLEET_BUILD_TIME MATCHES "^[0-9]+$")
  file(TIMESTAMP ${CMAKE_SOURCE_DIR}/CMakeLists.txt MCPFLEET_BUILD_TIME "%s" UTC)  # an archive keeps it
endif()
set_source_files_properties(${CMAKE_SOURCE_DIR}/base/version.cc PROPERTIES
  COMPILE_DEFINITIONS "MCPFLEET_VERSION=\"${PROJECT_VERSION}\";MCPFLEET_BUILD_TIME=${MCPFLEET_BUILD_TIME}")
mcpfleet_layer(base/http USES base LIBS Boost::headers OpenSSL::SSL)
mcpfleet_layer(crd USES base LIBS mcpfleet_yaml ${J})
include(embed)
mcpfleet_embed(mcpfleet_crd kEmbeddedCrds crd/mcpserver.yaml crd/mcpnode.yaml crd/mcpsecret.yaml)
mcpfleet_layer(controller/ports USES base crd)
mcpfleet_layer(controller/placement SMALL USES base crd)
mcpfleet_layer(controller/core SMALL USES base crd controller/ports LIBS ${J})
mcpfleet_layer(store/trust SMALL USES base crd LIBS PkgConfig::SODIUM ${J})
mcpfleet_layer(store SMALL USES base base/http crd controller/placement store/trust
               LIBS cpprestsdk::cpprest OpenSSL::SSL ${J})
mcpfleet_layer(store/server SMALL USES base base/http crd store store/trust LIBS SQLite::SQLite3 ${J})
mcpfleet_layer(store/kubernetes SMALL USES base base/http crd controller/ports controller/placement store/trust LIBS ${J})
mcpfleet_layer(gitops SMALL USES base crd controller/placement store store/trust LIBS ${J})
mcpfleet_layer(edge-runtime/mcp USES base LIBS simdjson::simdjson ${J})
mcpfleet_layer(edge-runtime/log USES base crd controller/ports LIBS ${J})
mcpfleet_layer(edge-runtime/engine SMALL USES base crd controller/ports LIBS ${J})
mcpfleet_layer(edge-runtime/docker SMALL USES base base/http crd controller/ports edge-runtime/log edge-runtime/engine
               LIBS ${J} simdjson::simdjson)
set(containerd "")
if(MCPFLEET_HAS_CONTAINERD)
  include(grpc)
  mcpfleet_grpc(mcpfleet_containerd_api edge-runtime/containerd/proto)
  mcpfleet_layer(edge-runtime/containerd SMALL USES base crd controller/ports edge-runtime/log edge-runtime/engine
                 LIBS ${J} mcpfleet_containerd_api)
  set(containerd edge-runtime/containerd)
endif()
mcpfleet_layer(edge-runtime/shim USES base crd controller/ports LIBS ${J})
mcpfleet_layer(edge-runtime/process SMALL USES base crd controller/ports edge-runtime/log LIBS ${J})
mcpfleet_layer(edge-runtime/probe SMALL USES base base/http crd controller/ports edge-runtime/mcp LIBS ${J})
mcpfleet_layer(edge-runtime/gateway USES base base/http crd controller/ports edge-runtime/mcp
               LIBS simdjson::simdjson OpenSSL::SSL ${J})
mcpfleet_layer(edge-runtime/tunnel SMALL USES base base/http crd controller/ports LIBS ${J})
mcpfleet_layer(edge-runtime/logship USES base crd controller/ports LIBS PkgConfig::ZSTD simdjson::simdjson ${J})
mcpfleet_layer(edge-runtime/gitsync SMALL USES base crd gitops store LIBS ${J})
mcpfleet_layer(edge-runtime/dashboard SMALL USES base base/http crd controller/ports store gitops LIBS ${J})
include(dashboard)
mcpfleet_dashboard_files(mcpfleet_edge_runtime_dashboard)
mcpfleet_layer(edge-runtime/telemetry SMALL USES base crd controller/ports LIBS prometheus-cpp::core ${J})
mcpfleet_layer(edge-runtime/mcplet SMALL
               USES base base/http crd controller/ports controller/placement controller/core store store/trust store/server store/kubernetes edge-runtime/mcp
                    edge-runtime/docker ${containerd} edge-runtime/process edge-runtime/shim edge-runtime/probe
                    edge-runtime/gateway edge-runtime/logship edge-runtime/telemetry edge-runtime/tunnel
                    edge-runtime/gitsync edge-runtime/dashboard edge-runtime/log gitops
               LIBS CLI11::CLI11 ${J})
if(MCPFLEET_HAS_CONTAINERD)
  target_compile_definitions(mcpfleet_edge_runtime_mcplet PRIVATE MCPFLEET_CONTAINERD)
endif()
mcpfleet_embed(mcpfleet_edge_runtime_mcplet kConfigurationSchema edge-runtime/mcplet/configuration.yaml)
mcpfleet_layer(cli/convert SMALL USES base crd LIBS ${J})
mcpfleet_layer(cli/registry SMALL USES base base/http store LIBS ${J})
mcpfleet_layer(cli SMALL USES base base/http crd store store/trust controller/placement gitops edge-runtime/mcp cli/convert cli/registry LIBS CLI11::CLI11 ${J})

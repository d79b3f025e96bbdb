# Every library we use, all from Debian, with what it is for. Folders name the targets that are defined here.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenSSL REQUIRED)          # SHA-256 (digest), TLS
find_package(absl REQUIRED)             # Status, StatusOr, thread-safety annotation macros
find_package(nlohmann_json 3.11 REQUIRED)
find_package(yaml-cpp REQUIRED)         # manifests; marks give the line of each violation
find_package(SQLite3 REQUIRED)          # the embedded store
find_package(prometheus-cpp CONFIG REQUIRED)
find_package(cpprestsdk REQUIRED)       # Cloudflare's REST API: store/rest_client.cc only
find_package(CLI11 REQUIRED)
find_package(simdjson REQUIRED)         # what is read all the time and little looked at: an engine's list
find_package(Boost 1.74 REQUIRED)       # Asio and Beast, headers only
pkg_check_modules(SODIUM REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)  # chunks of logs
pkg_check_modules(SECCOMP REQUIRED IMPORTED_TARGET libseccomp)

# containerd's API: gRPC over its unix socket.
if(NOT MCPFLEET_CONTAINERD STREQUAL "OFF")
  find_package(Protobuf QUIET)
  find_package(gRPC CONFIG QUIET)
  if(Protobuf_FOUND AND TARGET gRPC::grpc++_unsecure AND TARGET gRPC::grpc_cpp_plugin)
    set(MCPFLEET_HAS_CONTAINERD TRUE)
  elseif(NOT MCPFLEET_CONTAINERD STREQUAL "AUTO")
    message(FATAL_ERROR "MCPFLEET_CONTAINERD is ON, but gRPC or protobuf is missing: apt-get install libgrpc++-dev protobuf-compiler-grpc, "
                        "or configure with -DMCPFLEET_CONTAINERD=OFF")
  else()
    message(STATUS "no gRPC: built without the containerd runtime (libgrpc++-dev protobuf-compiler-grpc)")
  endif()
endif()

# Releases have Abseil, gRPC and zstd in the programs. Shared they are sixty files: a fifth of the time that mcpctl takes to
# start, and most of what is in them nobody calls. Elsewhere links are faster without.
function(mcpfleet_link_archives target)
  get_property(done GLOBAL PROPERTY mcpfleet_link_archives)
  if(NOT TARGET ${target} OR target IN_LIST done)
    return()
  endif()
  set_property(GLOBAL APPEND PROPERTY mcpfleet_link_archives ${target})
  get_target_property(type ${target} TYPE)
  if(type MATCHES "^(SHARED|UNKNOWN)_LIBRARY$")
    get_target_property(configurations ${target} IMPORTED_CONFIGURATIONS)
    list(TRANSFORM configurations PREPEND IMPORTED_LOCATION_)
    foreach(location IN ITEMS IMPORTED_LOCATION LISTS configurations)
      get_target_property(shared ${target} ${location})
      string(REGEX REPLACE "\\.so(\\.[0-9.]*)?$" ".a" archive "${shared}")
      if(shared AND EXISTS "${archive}")
        set_target_properties(${target} PROPERTIES ${location} "${archive}")
      endif()
    endforeach()
  endif()
  get_target_property(uses ${target} INTERFACE_LINK_LIBRARIES)
  foreach(used IN LISTS uses)
    string(REGEX REPLACE "^\\$<LINK_ONLY:(.*)>$" "\\1" used "${used}")
    mcpfleet_link_archives("${used}")
  endforeach()
endfunction()
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  foreach(target absl::status absl::statusor)
    mcpfleet_link_archives(${target})
  endforeach()
  if(MCPFLEET_HAS_CONTAINERD)
    mcpfleet_link_archives(gRPC::grpc++_unsecure)
    mcpfleet_link_archives(protobuf::libprotobuf-lite)
  endif()
  find_library(MCPFLEET_ZSTD_ARCHIVE libzstd.a)
  if(MCPFLEET_ZSTD_ARCHIVE)
    set_target_properties(PkgConfig::ZSTD PROPERTIES INTERFACE_LINK_LIBRARIES "${MCPFLEET_ZSTD_ARCHIVE}")
  endif()
endif()

# Debian 12 exports `yaml-cpp`, Debian 13 `yaml-cpp::yaml-cpp`.
if(TARGET yaml-cpp::yaml-cpp)
  add_library(mcpfleet_yaml ALIAS yaml-cpp::yaml-cpp)
else()
  add_library(mcpfleet_yaml INTERFACE)
  target_link_libraries(mcpfleet_yaml INTERFACE yaml-cpp)
endif()

# mcpfleet_grpc(<target> <folder>)
#
# The static library of the .proto files of a folder: messages of all, stubs of those with a service. Generated into
# generated/<basename of target>_api, to be included as <containerd_api/images.grpc.pb.h>. Not our style, so neither our
# warnings.
function(mcpfleet_grpc target folder)
  set(out ${CMAKE_BINARY_DIR}/generated/grpc/containerd_api)
  file(MAKE_DIRECTORY ${out})
  file(GLOB protos CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.proto)
  set(sources "")
  foreach(proto IN LISTS protos)
    get_filename_component(name ${proto} NAME_WE)
    file(STRINGS ${proto} services REGEX "^service ")
    set(made ${out}/${name}.pb.cc ${out}/${name}.pb.h)
    set(grpc "")
    if(services)
      list(APPEND made ${out}/${name}.grpc.pb.cc ${out}/${name}.grpc.pb.h)
      set(grpc --grpc_out=${out} --plugin=protoc-gen-grpc=$<TARGET_FILE:gRPC::grpc_cpp_plugin>)
    endif()
    add_custom_command(OUTPUT ${made}
      COMMAND protobuf::protoc --proto_path=${CMAKE_SOURCE_DIR}/${folder} --cpp_out=${out} ${grpc} ${proto}
      DEPENDS ${protos} COMMENT "protoc ${name}.proto" VERBATIM)
    list(APPEND sources ${made})
  endforeach()
  add_library(${target} STATIC ${sources})
  target_include_directories(${target} SYSTEM PUBLIC ${CMAKE_BINARY_DIR}/generated/grpc PRIVATE ${out})
  # To be linked, but without its compiler flags (-pthread), with which the precompiled header could not be used.
  # Over a unix socket nothing of TLS, and of protobuf only what reads and writes.
  target_link_libraries(${target} PRIVATE protobuf::libprotobuf-lite gRPC::grpc++_unsecure Threads::Threads)
  target_compile_definitions(${target} PUBLIC GRPC_USE_PROTO_LITE)
  target_link_options(${target} INTERFACE -Wl,--as-needed)   # gRPC's target names all of protobuf
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-Os>)
  if(MCPFLEET_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${MCPFLEET_SANITIZE} -fno-sanitize=vptr)
  endif()
endfunction()

# The programs. mcplet and mcpctl are ordinary; mcp-shim and mcp-sandbox are static and small, because one
# of each lives beside every running server: no iostream, no exceptions, no absl.
function(mcpfleet_program name main folder)
  if(EXISTS ${CMAKE_SOURCE_DIR}/${main})
    mcpfleet_target_name(${folder} lib)
    add_executable(${name} ${main})
    target_link_libraries(${name} PRIVATE ${lib})
  endif()
endfunction()

function(mcpfleet_static_program name folder)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.cc)
  if(sources)
    add_executable(${name} ${sources})
    target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
    target_compile_options(${name} PRIVATE -Os -Wall -Wextra -Werror -Wno-missing-field-initializers -fno-exceptions -fno-rtti
                           -ffunction-sections -fdata-sections -fstack-protector-strong -g0)
    target_link_options(${name} PRIVATE -static -Wl,--gc-sections -s)
    target_link_libraries(${name} PRIVATE ${ARGN})
  endif()
endfunction()

mcpfleet_program(mcplet edge-runtime/mcplet/main.cc edge-runtime/mcplet)
mcpfleet_program(mcpctl cli/main.cc cli)
mcpfleet_static_program(mcp-shim edge-runtime/shim/init)
mcpfleet_static_program(mcp-sandbox edge-runtime/process/sandbox seccomp)
if(TARGET mcp-sandbox)
  target_sources(mcp-sandbox PRIVATE ${CMAKE_SOURCE_DIR}/edge-runtime/log/log_rotate.cc)
endif()

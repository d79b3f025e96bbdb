# cmake --install and the .deb (cpack -G DEB in the build directory).
#
# What names a path of the installation (the unit, completion) is made at install time, so that
# `cmake --install build --prefix /opt/mcpfleet` and the package say the same of different places. The configuration
# goes to /etc for the prefixes /usr and /usr/local, and below any other prefix; one that is there is kept.
include(GNUInstallDirs)
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)  # what is built is installed; packaging builds no tests
foreach(program mcplet mcpctl)
  if(TARGET ${program})
    install(TARGETS ${program} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endforeach()
# mcplet looks for them at ../libexec/mcpfleet from its own place.
foreach(program mcp-shim mcp-sandbox mcp-log)
  if(TARGET ${program})
    install(TARGETS ${program} RUNTIME DESTINATION libexec/mcpfleet)
  endif()
endforeach()

install(PROGRAMS packaging/ci/mcpfleet-ci DESTINATION libexec/mcpfleet)

install(DIRECTORY manifests/examples manifests/gitops manifests/monitoring DESTINATION share/doc/mcpfleet)
install(FILES README.md docs/manifests.md docs/operations.md docs/security.md docs/gateway.md docs/gitops.md docs/auth.md docs/api.md DESTINATION share/doc/mcpfleet)
install(FILES packaging/debian/copyright DESTINATION share/doc/mcpfleet)
install(FILES packaging/debian/lintian-overrides DESTINATION share/lintian/overrides RENAME mcpfleet)

install(CODE "
  set(source [==[${CMAKE_SOURCE_DIR}]==])
  set(mcpctl [==[$<$<TARGET_EXISTS:mcpctl>:$<TARGET_FILE:mcpctl>>]==])
  set(version ${PROJECT_VERSION})
  include([==[${CMAKE_SOURCE_DIR}/cmake/install_made.cmake]==])")

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME mcpfleet)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "mcpfleet maintainers <maintainers@mcpfleet.dev>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "runs fleets of MCP servers on edge nodes")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"mcplet keeps the MCP (Model Context Protocol) servers of a node as declared
objects say: in containers or in its own sandbox, restarted when they fail,
and Ready when they answer the MCP handshake. mcpctl is its command line.")
# DESTDIR and the prefix /usr: install rules see the paths that the package will have.
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "init-system-helpers (>= 1.54~)")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "npm, ca-certificates, slirp4netns")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "docker.io, git, python3-pip, systemd-timesyncd | time-daemon")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(debian ${CMAKE_SOURCE_DIR}/packaging/debian)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${debian}/conffiles ${debian}/postinst ${debian}/prerm ${debian}/postrm)
include(CPack)

# SPDX-License-Identifier: BSD-2-Clause-Patent
# cmake --install: headers, libraries, programs, modules, policies, and what other builds find them by.

# rpath_to(VARIABLE FROM TO): a run path from one installed directory to another, wherever the prefix is.
function(rpath_to variable from to)
  cmake_path(RELATIVE_PATH to BASE_DIRECTORY ${from} OUTPUT_VARIABLE relative)
  set(${variable} "$ORIGIN/${relative}" PARENT_SCOPE)
endfunction()
set(module_dir ${CMAKE_INSTALL_LIBDIR}/drpc/modules)
rpath_to(bin_rpath ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
rpath_to(sbin_rpath ${CMAKE_INSTALL_FULL_SBINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
rpath_to(module_rpath ${DRPC_MODULE_DIR} ${CMAKE_INSTALL_FULL_LIBDIR})
set_target_properties(drpcctl PROPERTIES INSTALL_RPATH "${bin_rpath}")
set_target_properties(drpcd PROPERTIES INSTALL_RPATH "${sbin_rpath}")
set_target_properties(drpc-server PROPERTIES INSTALL_RPATH "$ORIGIN")
set_target_properties(module_hello module_echo PROPERTIES INSTALL_RPATH "${module_rpath}")

# Users of the installed libraries get protobuf-c, whose types the headers use, from drpc-config.cmake.
target_link_libraries(drpc PUBLIC $<INSTALL_INTERFACE:PkgConfig::DRPC_PROTOBUF_C>)

install(TARGETS drpc drpc-server EXPORT drpc-targets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS drpcctl DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS drpcd DESTINATION ${CMAKE_INSTALL_SBINDIR})
install(TARGETS module_hello module_echo DESTINATION ${module_dir})
install(DIRECTORY include/drpc DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(FILES ${PROJECT_BINARY_DIR}/proto/drpc.pb-c.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/drpc)
install(FILES proto/drpc.proto proto/hello.proto DESTINATION ${CMAKE_INSTALL_DATADIR}/drpc/proto)

# find_package(drpc)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/drpc)
configure_package_config_file(cmake/drpc-config.cmake.in ${PROJECT_BINARY_DIR}/drpc-config.cmake
  INSTALL_DESTINATION ${package_dir} PATH_VARS module_dir)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/drpc-config-version.cmake
  COMPATIBILITY SameMajorVersion)
install(EXPORT drpc-targets NAMESPACE drpc:: DESTINATION ${package_dir})
install(FILES ${PROJECT_BINARY_DIR}/drpc-config.cmake ${PROJECT_BINARY_DIR}/drpc-config-version.cmake
  DESTINATION ${package_dir})

# pkg-config, with paths relative to the .pc file, so that the prefix may be chosen at install time.
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX
  BASE_DIRECTORY ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig OUTPUT_VARIABLE prefix_from_pc)
foreach(name IN ITEMS drpc drpc-server)
  configure_file(cmake/${name}.pc.in ${PROJECT_BINARY_DIR}/${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()

# Policies are the administrator's once they are installed: one that is there is never replaced. With a
# prefix of /usr they go to /etc, which is absolute; else below the prefix.
if(CMAKE_INSTALL_FULL_SYSCONFDIR STREQUAL "${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_SYSCONFDIR}")
  set(policy_destination "\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_SYSCONFDIR}/drpc/policy")
else()
  set(policy_destination "${DRPC_POLICY_DIR}")
endif()
install(CODE "
  foreach(name IN ITEMS echo hello)
    if(NOT EXISTS \"\$ENV{DESTDIR}${policy_destination}/\${name}.policy\")
      file(INSTALL \"${PROJECT_SOURCE_DIR}/policy/\${name}.policy\" DESTINATION \"${policy_destination}\")
    endif()
  endforeach()")

# A unit and an account for systemd, which looks in lib of /usr and of /usr/local.
configure_file(packaging/drpcd.service.in ${PROJECT_BINARY_DIR}/packaging/drpcd.service @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/packaging/drpcd.service DESTINATION lib/systemd/system)
install(FILES packaging/drpc.sysusers DESTINATION lib/sysusers.d RENAME drpc.conf)

install(FILES README.md NEWS.md SECURITY.md CONTRIBUTING.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY policy examples DESTINATION ${CMAKE_INSTALL_DOCDIR} PATTERN "*.py" EXCLUDE)
install(FILES proto/PROTOCOL.md DESTINATION ${CMAKE_INSTALL_DOCDIR}/proto)

# kiln_library(NAME [DEPENDS target...]): a static library of every .cc in the calling folder and
# below, included as "folder/file.h" from the top of the tree.
add_library(kiln_options INTERFACE)
# Op definitions name the fields they set; the others keep their defaults on purpose.
target_compile_options(kiln_options INTERFACE -Wall -Wextra -Wno-missing-field-initializers)
# GCC 12 warns of its own std::string operator+ (GCC bug 105329).
target_compile_options(kiln_options INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
if(KILN_WERROR)
  target_compile_options(kiln_options INTERFACE -Werror)
endif()
if(KILN_SANITIZE)
  target_compile_options(kiln_options INTERFACE -fsanitize=${KILN_SANITIZE} -fno-omit-frame-pointer
                                                -fno-sanitize-recover=all)
  target_link_options(kiln_options INTERFACE -fsanitize=${KILN_SANITIZE})
endif()
if(KILN_FUZZ)
  target_compile_options(kiln_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
target_compile_definitions(kiln_options INTERFACE KILN_VERSION="${PROJECT_VERSION}")
target_include_directories(kiln_options INTERFACE "${PROJECT_SOURCE_DIR}" "${PROJECT_BINARY_DIR}")

function(kiln_library name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;SOURCES" ${ARGN})
  if(NOT ARG_SOURCES)
    file(GLOB_RECURSE ARG_SOURCES CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cc")
  endif()
  if(NOT ARG_SOURCES)  # CMake refuses a library of nothing
    set(ARG_SOURCES "${PROJECT_BINARY_DIR}/empty.cc")
    file(TOUCH "${ARG_SOURCES}")
  endif()
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC kiln_options ${ARG_DEPENDS})
endfunction()

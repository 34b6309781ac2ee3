// Files that a model names: data beside the model file.
#pragma once

#include <memory>
#include <string>

#include "ir/support/file.h"
#include "ir/support/status.h"

namespace kiln {

/// Maps a file that an untrusted model names, so that nothing outside `folder` can be reached:
/// `location` must be relative and without "..", no component may be a symbolic link, and the file
/// must be regular and have no second (hard) link.
StatusOr<std::shared_ptr<const MappedFile>> MapFileInside(const std::string& folder,
                                                          const std::string& location);

/// The folder that the file at `path` lies in: "." for a bare name.
std::string FolderOf(const std::string& path);

}  // namespace kiln

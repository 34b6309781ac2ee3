// The passes that make a model trainable, as text shows them: `kiln opt --passes differentiate`.
// What trains calls AddTrainStep (train_step.h) instead.
#pragma once

#include "passes/pass.h"

namespace kiln {

/// Adds to a module with the function "loss", and without "gradient", the function "gradient": the
/// loss and its gradients with respect to the trainable parameters, one output "d NAME" each.
Pass DifferentiateLoss();

}  // namespace kiln

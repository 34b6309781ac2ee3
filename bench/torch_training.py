"""A step of training in PyTorch: forward, softmax cross-entropy, backward, SGD with momentum."""

import gc
import pathlib
import time

MOMENTUM = 0.9


class TorchTraining:
    """Eager, or through torch.compile; images as NCHW or channels-last; the fused optimizer."""

    def __init__(self, model, shape, threads, *, compiled, channels_last):
        import torch
        import torch.nn.functional as functional
        import torch_net
        from engines import status_bytes
        self.torch = torch
        torch.set_num_threads(threads)
        torch.set_num_interop_threads(1)
        self.idle_bytes = status_bytes("VmRSS")  # PyTorch imported: no part of the steps
        self.started = time.perf_counter()
        self.version = torch.__version__
        self.engine_bytes = 0
        layout = torch.channels_last if channels_last else torch.contiguous_format
        net = torch_net.load(model, training=True).to(memory_format=layout)
        self.x = torch.zeros(shape).to(memory_format=layout)
        self.labels = torch.zeros(shape[0], dtype=torch.int64)
        self.parameters = list(net.parameters())
        self.optimizer = torch.optim.SGD(self.parameters, momentum=MOMENTUM, fused=True)

        def loss_of(x, labels):
            return functional.cross_entropy(net(x), labels)

        self.loss_of = torch.compile(loss_of, fullgraph=True) if compiled else loss_of
        if compiled:  # now: no part of the first step
            self.loss_of(self.x, self.labels).backward()
            self.optimizer.zero_grad()
        gc.collect()
        # From here on VmHWM is that of the steps: reading and compiling took more.
        pathlib.Path("/proc/self/clear_refs").write_text("5")

    def set_batch(self, input, labels):
        self.x.copy_(self.torch.from_numpy(input))
        self.labels.copy_(self.torch.from_numpy(labels))

    def set_rate(self, rate):
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def call(self):
        """A step; its loss."""
        self.optimizer.zero_grad()
        loss = self.loss_of(self.x, self.labels)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

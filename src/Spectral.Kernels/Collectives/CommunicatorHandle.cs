using Spectral.Kernels.Driver;

namespace Spectral.Kernels.Collectives;

/// <summary>Owns a communicator (<c>ncclComm_t</c>).</summary>
internal sealed unsafe class CommunicatorHandle(Device device, NcclApi nccl, nint value)
    : DriverHandle(device.Api, device.Context, value, "communicator")
{
    /// <summary>Whether to leave without waiting for the other ranks.</summary>
    public bool Aborts { get; set; }

    // A rank that forgets its communicator cannot wait for the others on the finalizer thread.
    protected override int Free(nint value) => Aborts ? nccl.Abort(value) : nccl.Destroy(value);
}

namespace Spectral.Kernels.Driver;

/// <summary>Owns a loaded module, with the kernels in it.</summary>
internal sealed unsafe class CudaModuleHandle(DriverApi api, ContextHandle context, nint value)
    : DriverHandle(api, context, value, "module")
{
    protected override int Free(nint value) => Api.ModuleUnload(value);
}

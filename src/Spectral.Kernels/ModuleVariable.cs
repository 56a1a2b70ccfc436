namespace Spectral.Kernels;

/// <summary>Places a <c>__device__</c> or <c>__constant__</c> variable of a module in device memory.</summary>
/// <param name="Pointer">Device address (CUdeviceptr); valid until the module is disposed.</param>
/// <param name="Bytes">Size of the variable in bytes.</param>
public readonly record struct ModuleVariable(ulong Pointer, long Bytes);

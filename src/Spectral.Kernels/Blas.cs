using Spectral.Kernels.Driver;
using unsafe GemmEx = delegate* unmanaged<
    nint,
    int,
    int,
    int,
    int,
    int,
    void*,
    ulong,
    int,
    int,
    ulong,
    int,
    int,
    void*,
    ulong,
    int,
    int,
    int,
    int,
    int>;
using unsafe GemmStridedBatchedEx = delegate* unmanaged<
    nint,
    int,
    int,
    int,
    int,
    int,
    void*,
    ulong,
    int,
    int,
    long,
    ulong,
    int,
    int,
    long,
    void*,
    ulong,
    int,
    int,
    long,
    int,
    int,
    int,
    int>;

namespace Spectral.Kernels;

/// <summary>
/// Calls the cuBLAS functions that the ops need: those of cuBLAS 12 or 13 on a GPU, those of the CPU device's own
/// library there.
/// </summary>
public sealed unsafe class Blas : IDisposable
{
    private const int DataF32 = 0;
    private const int DataBF16 = 14;
    private const int ComputeF32 = 68;
    private const int DefaultAlgorithm = -1;
    private const int DisallowReducedPrecisionReduction = 16; // of cublasMath_t

    // NVIDIA's advice: 32 MiB from Hopper on, 4 MiB before. The CPU device needs none.
    private const int LargeWorkspace = 32 << 20;
    private const int SmallWorkspace = 4 << 20;
    private const int CpuWorkspace = 512;

    /// <summary>Names of cublasStatus_t by value.</summary>
    internal static readonly string?[] StatusNames =
    [
        "CUBLAS_STATUS_SUCCESS",
        "CUBLAS_STATUS_NOT_INITIALIZED",
        null,
        "CUBLAS_STATUS_ALLOC_FAILED",
        null,
        null,
        null,
        "CUBLAS_STATUS_INVALID_VALUE",
        "CUBLAS_STATUS_ARCH_MISMATCH",
        null,
        null,
        "CUBLAS_STATUS_MAPPING_ERROR",
        null,
        "CUBLAS_STATUS_EXECUTION_FAILED",
        "CUBLAS_STATUS_INTERNAL_ERROR",
        "CUBLAS_STATUS_NOT_SUPPORTED",
    ];

    private readonly LibraryFunctions _functions;
    private readonly Device _device;
    private readonly LibraryHandle _handle;
    private readonly delegate* unmanaged<nint, int*, int> _getVersion;
    private readonly delegate* unmanaged<nint, ulong, nuint, int> _setWorkspace;
    private readonly Dictionary<nint, (MemoryHandle Handle, ulong Pointer)> _workspaces = []; // by stream
    private readonly int _workspaceBytes;
    private readonly GemmEx _gemm;
    private readonly GemmStridedBatchedEx _gemmBatched;

    internal Blas(Device device)
    {
        _device = device;
        _functions = new LibraryFunctions(
            device.Activate(),
            device.DriverVersion,
            "cuBLAS",
            "cublas",
            "cublas",
            "Create_v2",
            StatusNames,
            new LibraryVersion(13, 13),
            new LibraryVersion(12, 12)
        );
        _handle = new LibraryHandle(device, _functions, "blas", "_v2") { StreamChanged = GiveWorkspace };
        _getVersion = (delegate* unmanaged<nint, int*, int>)_functions["GetVersion_v2"];
        _gemm = (GemmEx)_functions["GemmEx"];
        _gemmBatched = (GemmStridedBatchedEx)_functions["GemmStridedBatchedEx"];
        _setWorkspace = (delegate* unmanaged<nint, ulong, nuint, int>)_functions["SetWorkspace_v2"];
        int atLeastHopper = device.ComputeCapability.Major >= 9 ? LargeWorkspace : SmallWorkspace;
        _workspaceBytes = device.Api.IsCpu ? CpuWorkspace : atLeastHopper;
        // Partial sums of a product that is divided along its sums stay F32, also where the result is BF16.
        var setMathMode = (delegate* unmanaged<nint, int, int>)_functions["SetMathMode"];
        _functions.Check(
            setMathMode(_handle.Value, DisallowReducedPrecisionReduction),
            "choosing how cuBLAS adds partial sums",
            "SetMathMode"
        );
    }

    /// <summary>Computes one product in place of cuBLAS, or returns false if it cannot.</summary>
    internal delegate bool Product(
        in GemmOperand a,
        in GemmOperand b,
        in GemmOperand c,
        in GemmSize size,
        float alpha,
        float beta
    );

    /// <summary>
    /// Library that is asked first for every product that is not a batch, so that benchmarks can compare one with
    /// cuBLAS; null for none.
    /// </summary>
    internal Product? Substitute { get; set; }

    /// <summary>
    /// Name of what multiplies matrices: <c>cuBLAS</c> on a GPU; on the CPU device the library found there, e.g.
    /// <c>oneDNN 2.6.3</c> or <c>OpenBLAS</c>.
    /// </summary>
    public string Library => _device.Api.IsCpu ? _device.Api.CpuProductLibrary() : "cuBLAS";

    /// <summary>Version of the library as it numbers itself, e.g. 120405.</summary>
    public int Version
    {
        get
        {
            nint handle = _handle.Begin();
            int version;
            _functions.Check(_getVersion(handle, &version), "reading the version of cuBLAS");
            return version;
        }
    }

    /// <summary>Handle of the library (cublasHandle_t), for tests.</summary>
    internal nint Handle => _handle.Value;

    /// <summary>Releases the library's handle and its workspaces. A second call does nothing.</summary>
    public void Dispose()
    {
        _handle.Dispose();
        foreach ((MemoryHandle workspace, _) in _workspaces.Values)
            workspace.Dispose();
        _workspaces.Clear();
    }

    /// <summary>Frees the workspace of a stream that is gone.</summary>
    internal void Forget(nint stream)
    {
        if (!_workspaces.Remove(stream, out (MemoryHandle Handle, ulong Pointer) workspace))
            return;
        workspace.Handle.Dispose();
        _handle.ForgetStream();
    }

    // A change of the stream gives the library its own workspace back, which no pool counts and which a captured graph
    // would keep. Each stream has one, since products on several may run at the same time.
    private void GiveWorkspace()
    {
        nint stream = _device.Stream.Handle;
        if (!_workspaces.TryGetValue(stream, out (MemoryHandle Handle, ulong Pointer) workspace))
        {
            MemoryHandle memory = _device.Keep(_workspaceBytes, out ulong pointer);
            _workspaces[stream] = workspace = (memory, pointer);
        }

        _functions.Check(
            _setWorkspace(_handle.Value, workspace.Pointer, (nuint)_workspaceBytes),
            "giving cuBLAS its workspace"
        );
    }

    /// <summary>
    /// Computes <c>C = alpha · op(A) op(B) + beta · C</c> for row-major matrices, by asking the column-major library
    /// for the transposed product.
    /// </summary>
    internal void Gemm(in GemmOperand a, in GemmOperand b, in GemmOperand c, in GemmSize size, float alpha, float beta)
    {
        if (size.Batch == 1 && Substitute is { } substitute && substitute(a, b, c, size, alpha, beta))
            return;
        nint handle = _handle.Begin();
        int opA = a.Transposed ? 1 : 0;
        int opB = b.Transposed ? 1 : 0;
        int type = Type(a.Tensor.DType);
        int result = Type(c.Tensor.DType);
        if (size.Batch == 1)
        {
            _functions.Check(
                _gemm(
                    handle,
                    opB,
                    opA,
                    size.N,
                    size.M,
                    size.K,
                    &alpha,
                    b.Pointer,
                    type,
                    b.LeadingDimension,
                    a.Pointer,
                    type,
                    a.LeadingDimension,
                    &beta,
                    c.Pointer,
                    result,
                    c.LeadingDimension,
                    ComputeF32,
                    DefaultAlgorithm
                ),
                "multiplying matrices"
            );
        }
        else
        {
            _functions.Check(
                _gemmBatched(
                    handle,
                    opB,
                    opA,
                    size.N,
                    size.M,
                    size.K,
                    &alpha,
                    b.Pointer,
                    type,
                    b.LeadingDimension,
                    b.Stride,
                    a.Pointer,
                    type,
                    a.LeadingDimension,
                    a.Stride,
                    &beta,
                    c.Pointer,
                    result,
                    c.LeadingDimension,
                    c.Stride,
                    size.Batch,
                    ComputeF32,
                    DefaultAlgorithm
                ),
                "multiplying batches of matrices"
            );
        }
    }

    private static int Type(DType type) => type == DType.BF16 ? DataBF16 : DataF32;
}

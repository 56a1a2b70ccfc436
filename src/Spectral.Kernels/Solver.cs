using Spectral.Kernels.Driver;
using unsafe Gesvd = delegate* unmanaged<
    nint,
    sbyte,
    sbyte,
    int,
    int,
    ulong,
    int,
    ulong,
    ulong,
    int,
    ulong,
    int,
    ulong,
    int,
    ulong,
    ulong,
    int>;
using unsafe Trtri = delegate* unmanaged<
    nint,
    int,
    int,
    long,
    int,
    ulong,
    long,
    ulong,
    nuint,
    void*,
    nuint,
    ulong,
    int>;

namespace Spectral.Kernels;

/// <summary>
/// Calls the cuSOLVER functions that the linear algebra needs: those of cuSOLVER 11 or 12 on a GPU, those of the CPU
/// device's own library there.
/// </summary>
/// <remarks>
/// cuSOLVER 11 belongs to CUDA 12, cuSOLVER 12 to CUDA 13. Matrices are column-major, as the library expects.
/// </remarks>
public sealed unsafe class Solver : IDisposable
{
    private const int Upper = 1;
    private const int NonUnit = 0;
    private const int DataF64 = 1;

    /// <summary>Names of cusolverStatus_t by value.</summary>
    internal static readonly string[] StatusNames =
    [
        "CUSOLVER_STATUS_SUCCESS",
        "CUSOLVER_STATUS_NOT_INITIALIZED",
        "CUSOLVER_STATUS_ALLOC_FAILED",
        "CUSOLVER_STATUS_INVALID_VALUE",
        "CUSOLVER_STATUS_ARCH_MISMATCH",
        "CUSOLVER_STATUS_MAPPING_ERROR",
        "CUSOLVER_STATUS_EXECUTION_FAILED",
        "CUSOLVER_STATUS_INTERNAL_ERROR",
        "CUSOLVER_STATUS_MATRIX_TYPE_NOT_SUPPORTED",
        "CUSOLVER_STATUS_NOT_SUPPORTED",
    ];

    private readonly Device _device;
    private readonly List<PinnedMemory> _capturedHostWork = []; // which replays use
    private PinnedMemory? _hostWork; // of the last call, which may use it until the stream is done
    private readonly LibraryFunctions _functions;
    private readonly LibraryHandle _handle;
    private readonly delegate* unmanaged<nint, int, int, ulong, int, int*, int> _potrfSize;
    private readonly delegate* unmanaged<nint, int, int, ulong, int, ulong, int, ulong, int> _potrf;
    private readonly delegate* unmanaged<nint, int, int, long, int, ulong, long, nuint*, nuint*, int> _trtriSize;
    private readonly Trtri _trtri;
    private readonly delegate* unmanaged<nint, int, int, ulong, int, int*, int> _geqrfSize;
    private readonly delegate* unmanaged<nint, int, int, ulong, int, ulong, ulong, int, ulong, int> _geqrf;
    private readonly delegate* unmanaged<nint, int, int, int, ulong, int, ulong, int*, int> _orgqrSize;
    private readonly delegate* unmanaged<nint, int, int, int, ulong, int, ulong, ulong, int, ulong, int> _orgqr;
    private readonly delegate* unmanaged<nint, int, int, int*, int> _gesvdSize;
    private readonly Gesvd _gesvd;

    internal Solver(Device device)
    {
        _device = device;
        _functions = Open(device);
        _handle = new LibraryHandle(device, _functions, "solver");
        _potrfSize = (delegate* unmanaged<nint, int, int, ulong, int, int*, int>)_functions["Dpotrf_bufferSize"];
        _potrf = (delegate* unmanaged<nint, int, int, ulong, int, ulong, int, ulong, int>)_functions["Dpotrf"];
        _trtriSize = (delegate* unmanaged<nint, int, int, long, int, ulong, long, nuint*, nuint*, int>)
            _functions["Xtrtri_bufferSize"];
        _trtri = (Trtri)_functions["Xtrtri"];
        _geqrfSize = (delegate* unmanaged<nint, int, int, ulong, int, int*, int>)_functions["Sgeqrf_bufferSize"];
        _geqrf = (delegate* unmanaged<nint, int, int, ulong, int, ulong, ulong, int, ulong, int>)_functions["Sgeqrf"];
        _orgqrSize = (delegate* unmanaged<nint, int, int, int, ulong, int, ulong, int*, int>)
            _functions["Sorgqr_bufferSize"];
        _orgqr = (delegate* unmanaged<nint, int, int, int, ulong, int, ulong, ulong, int, ulong, int>)
            _functions["Sorgqr"];
        _gesvdSize = (delegate* unmanaged<nint, int, int, int*, int>)_functions["Dgesvd_bufferSize"];
        _gesvd = (Gesvd)_functions["Dgesvd"];
    }

    /// <summary>Releases the library's handle. A second call does nothing.</summary>
    public void Dispose()
    {
        _handle.Dispose();
        _hostWork?.Dispose();
        _capturedHostWork.ForEach(memory => memory.Dispose());
        _capturedHostWork.Clear();
    }

    /// <summary>Opens the library, which has a handle then.</summary>
    internal static LibraryFunctions Open(Device device) =>
        new(
            device.Activate(),
            device.DriverVersion,
            "cuSOLVER",
            "cusolver",
            "cusolverDn",
            "Create",
            StatusNames,
            new LibraryVersion(12, 13),
            new LibraryVersion(11, 12)
        );

    /// <summary>
    /// Replaces a symmetric F64 matrix by the inverse of its upper Cholesky factor: with G = TᵀT, T⁻¹ in the upper
    /// triangle (column-major). A row-major reader finds the inverse of the lower factor in the lower triangle. The
    /// other triangle is left unchanged.
    /// </summary>
    /// <param name="gram">[n, n] F64.</param>
    /// <param name="info">Address of one I32: i when the leading minor of order i is not positive definite, else
    /// 0.</param>
    internal void CholeskyInverse(Tensor gram, ulong info)
    {
        int n = gram.Dim(0);
        int elements;
        nuint deviceBytes;
        nuint hostBytes;
        nint handle = _handle.Begin();
        _functions.Check(_potrfSize(handle, Upper, n, gram.Pointer, n, &elements), "sizing a Cholesky factorisation");
        _functions.Check(
            _trtriSize(handle, Upper, NonUnit, n, DataF64, gram.Pointer, n, &deviceBytes, &hostBytes),
            "sizing the inverse of a triangle"
        );
        using var work = Tensor.Empty(
            _device,
            checked((int)Math.Max((long)elements, ((long)deviceBytes + 7) / 8)),
            DType.F64
        );
        // not read: a zero pivot of the inverse was already reported in info
        using var inverseInfo = Tensor.Empty(_device, 1, DType.I32);
        nint hostWork = HostWork((long)hostBytes);
        _functions.Check(
            _potrf(handle, Upper, n, gram.Pointer, n, work.Pointer, elements, info),
            "factorising a Gram matrix"
        );
        _functions.Check(
            _trtri(
                handle,
                Upper,
                NonUnit,
                n,
                DataF64,
                gram.Pointer,
                n,
                work.Pointer,
                deviceBytes,
                (void*)hostWork,
                hostBytes,
                inverseInfo.Pointer
            ),
            "inverting a triangle"
        );
    }

    /// <summary>
    /// Replaces the columns of a column-major [m, l] F32 matrix, m ≥ l, by orthonormal ones that span the same space,
    /// by Householder reflections.
    /// </summary>
    /// <param name="columns">[l, m] as stored: one column after the other.</param>
    internal void Householder(Tensor columns)
    {
        int l = columns.Dim(0);
        int m = columns.Dim(1);
        int factor;
        int form;
        using var tau = Tensor.Empty(_device, l);
        using var info = Tensor.Empty(_device, 1, DType.I32);
        nint handle = _handle.Begin();
        _functions.Check(_geqrfSize(handle, m, l, columns.Pointer, m, &factor), "sizing a QR factorisation");
        _functions.Check(
            _orgqrSize(handle, m, l, l, columns.Pointer, m, tau.Pointer, &form),
            "sizing a QR factorisation"
        );
        using var work = Tensor.Empty(_device, Math.Max(factor, form));
        _functions.Check(
            _geqrf(handle, m, l, columns.Pointer, m, tau.Pointer, work.Pointer, factor, info.Pointer),
            "factorising by Householder reflections"
        );
        _functions.Check(
            _orgqr(handle, m, l, l, columns.Pointer, m, tau.Pointer, work.Pointer, form, info.Pointer),
            "forming Q from reflections"
        );
    }

    /// <summary>
    /// Computes the thin SVD A = U diag(S) Vᵀ of a column-major F64 matrix, m ≥ n, whose contents are destroyed.
    /// </summary>
    /// <param name="a">[n, m] as stored: one column after the other.</param>
    /// <param name="s">[n], descending.</param>
    /// <param name="u">[n, m] as stored: one left vector per row; null, as <paramref name="vt"/> then is, to compute
    /// only the values.</param>
    /// <param name="vt">[n, n] as stored, column-major: one right vector per column.</param>
    /// <param name="info">Address of one I32: the number of superdiagonals that did not converge.</param>
    internal void SingularValues(Tensor a, Tensor s, Tensor? u, Tensor? vt, ulong info)
    {
        int n = a.Dim(0);
        int m = a.Dim(1);
        int elements;
        char vectors = m == n ? 'A' : 'S';
        sbyte job = (sbyte)(u is null ? 'N' : vectors);
        nint handle = _handle.Begin();
        _functions.Check(_gesvdSize(handle, m, n, &elements), "sizing a singular value decomposition");
        using var work = Tensor.Empty(_device, elements, DType.F64);
        using var real = Tensor.Empty(_device, Math.Max(1, n), DType.F64);
        _functions.Check(
            _gesvd(
                handle,
                job,
                job,
                m,
                n,
                a.Pointer,
                m,
                s.Pointer,
                u?.Pointer ?? 0,
                m,
                vt?.Pointer ?? 0,
                n,
                work.Pointer,
                elements,
                real.Pointer,
                info
            ),
            "decomposing into singular values"
        );
    }

    // Pinned memory for one call, which outlives the work that the call queues: disposing that of the call before waits
    // for its stream.
    private nint HostWork(long bytes)
    {
        if (bytes == 0)
            return 0;
        var memory = new PinnedMemory(_device, bytes);
        if (_device.IsCapturing)
        {
            _capturedHostWork.Add(memory);
        }
        else
        {
            _hostWork?.Dispose();
            _hostWork = memory;
        }

        return memory.Value;
    }
}

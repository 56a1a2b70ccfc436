using Spectral.Kernels;
using Spectral.Kernels.Driver;

namespace Spectral.Bench.Baselines;

/// <summary>
/// cuSOLVER's own singular value decompositions of a square F32 matrix, to compare with: the randomized Xgesvdr and the
/// full Jacobi Sgesvdj. The library is column-major: of a row-major A it sees Aᵀ, so its left vectors, one per stored
/// row, are A's right ones.
/// </summary>
internal sealed unsafe class CuSolverSvd : IDisposable
{
    private const int DataF32 = 0;
    private const int Vectors = 1;

    private readonly Device _device;
    private readonly LibraryFunctions _functions;
    private readonly LibraryHandle _handle;
    private readonly nint _parameters;
    private readonly nint _jacobi;
    private readonly Tensor _info;
    private Tensor? _work;
    private byte[] _hostWork = [];

    /// <exception cref="DllNotFoundException">No cuSOLVER here.</exception>
    /// <exception cref="EntryPointNotFoundException">It lacks a function.</exception>
    /// <exception cref="CudaException">It does not start here.</exception>
    public CuSolverSvd(Device device)
    {
        if (device.Kind == DeviceKind.Cpu)
            throw new DllNotFoundException("cuSOLVER: the CPU device has no Xgesvdr");
        _device = device;
        _functions = Solver.Open(device);
        _handle = new LibraryHandle(device, _functions, "solver");
        _parameters = Created("CreateParams");
        _jacobi = Created("CreateGesvdjInfo");
        _info = Tensor.Zeros(device, 1, DType.I32);
    }

    /// <summary>k triplets with p more random vectors and a number of power iterations; destroys a.</summary>
    /// <param name="a">[n, n] F32.</param>
    /// <param name="values">[n] F32: the first k are written.</param>
    /// <param name="left">[n, n] F32: the first k rows become left vectors of A.</param>
    /// <param name="right">[n, n] F32: the first k rows become right vectors of A.</param>
    /// <param name="k">Triplets.</param>
    /// <param name="p">Random vectors beyond them.</param>
    /// <param name="iterations">Power iterations.</param>
    public void Randomized(Tensor a, Tensor values, Tensor left, Tensor right, int k, int p, int iterations)
    {
        long n = a.Dim(0);
        nint handle = _handle.Begin();
        nuint deviceBytes;
        nuint hostBytes;
        var size = (delegate* unmanaged<
            nint,
            nint,
            sbyte,
            sbyte,
            long,
            long,
            long,
            long,
            long,
            int,
            ulong,
            long,
            int,
            ulong,
            int,
            ulong,
            long,
            int,
            ulong,
            long,
            int,
            nuint*,
            nuint*,
            int>)
            _functions["Xgesvdr_bufferSize"];
        _functions.Check(
            size(
                handle,
                _parameters,
                (sbyte)'S',
                (sbyte)'S',
                n,
                n,
                k,
                p,
                iterations,
                DataF32,
                a.Pointer,
                n,
                DataF32,
                values.Pointer,
                DataF32,
                right.Pointer,
                n,
                DataF32,
                left.Pointer,
                n,
                DataF32,
                &deviceBytes,
                &hostBytes
            ),
            "sizing a randomized decomposition",
            "Xgesvdr_bufferSize"
        );
        Reserve((long)deviceBytes, (long)hostBytes);
        var run = (delegate* unmanaged<
            nint,
            nint,
            sbyte,
            sbyte,
            long,
            long,
            long,
            long,
            long,
            int,
            ulong,
            long,
            int,
            ulong,
            int,
            ulong,
            long,
            int,
            ulong,
            long,
            int,
            ulong,
            nuint,
            byte*,
            nuint,
            ulong,
            int>)
            _functions["Xgesvdr"];
        fixed (byte* host = _hostWork)
        {
            _functions.Check(
                run(
                    handle,
                    _parameters,
                    (sbyte)'S',
                    (sbyte)'S',
                    n,
                    n,
                    k,
                    p,
                    iterations,
                    DataF32,
                    a.Pointer,
                    n,
                    DataF32,
                    values.Pointer,
                    DataF32,
                    right.Pointer,
                    n,
                    DataF32,
                    left.Pointer,
                    n,
                    DataF32,
                    _work!.Pointer,
                    deviceBytes,
                    host,
                    hostBytes,
                    _info.Pointer
                ),
                "decomposing from random vectors",
                "Xgesvdr"
            );
        }
    }

    /// <summary>All triplets; destroys a. Arguments as above, all written.</summary>
    public void Jacobi(Tensor a, Tensor values, Tensor left, Tensor right)
    {
        int n = a.Dim(0);
        nint handle = _handle.Begin();
        int elements;
        var size = (delegate* unmanaged<
            nint,
            int,
            int,
            int,
            int,
            ulong,
            int,
            ulong,
            ulong,
            int,
            ulong,
            int,
            int*,
            nint,
            int>)
            _functions["Sgesvdj_bufferSize"];
        _functions.Check(
            size(
                handle,
                Vectors,
                1,
                n,
                n,
                a.Pointer,
                n,
                values.Pointer,
                right.Pointer,
                n,
                left.Pointer,
                n,
                &elements,
                _jacobi
            ),
            "sizing a Jacobi decomposition",
            "Sgesvdj_bufferSize"
        );
        Reserve(sizeof(float) * (long)elements, 0);
        var run = (delegate* unmanaged<
            nint,
            int,
            int,
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
            nint,
            int>)
            _functions["Sgesvdj"];
        _functions.Check(
            run(
                handle,
                Vectors,
                1,
                n,
                n,
                a.Pointer,
                n,
                values.Pointer,
                right.Pointer,
                n,
                left.Pointer,
                n,
                _work!.Pointer,
                elements,
                _info.Pointer,
                _jacobi
            ),
            "decomposing by Jacobi rotations",
            "Sgesvdj"
        );
    }

    public void Dispose()
    {
        _work?.Dispose();
        _info.Dispose();
        _device.Activate();
        ((delegate* unmanaged<nint, int>)_functions["DestroyGesvdjInfo"])(_jacobi);
        ((delegate* unmanaged<nint, int>)_functions["DestroyParams"])(_parameters);
        _handle.Dispose();
    }

    private void Reserve(long deviceBytes, long hostBytes)
    {
        if (_hostWork.Length < hostBytes)
            _hostWork = new byte[hostBytes];
        if (_work is not null && _work.Bytes >= deviceBytes)
            return;
        _work?.Dispose();
        _work = Tensor.Empty(_device, checked((int)(deviceBytes / sizeof(float) + 1)));
    }

    private nint Created(string function)
    {
        nint created;
        _functions.Check(
            ((delegate* unmanaged<nint*, int>)_functions[function])(&created),
            "preparing decompositions",
            function
        );
        return created;
    }
}

using System.Numerics;
using System.Runtime.InteropServices;
using Spectral.Kernels;
using Spectral.Kernels.Driver;
using Spectral.Kernels.Ops;
using unsafe Matmul = delegate* unmanaged<
    nint,
    nint,
    void*,
    ulong,
    nint,
    ulong,
    nint,
    void*,
    ulong,
    nint,
    ulong,
    nint,
    Spectral.Bench.Baselines.BlasLt.Algorithm*,
    ulong,
    nuint,
    nint,
    int>;
using unsafe MatmulAlgoGetHeuristic = delegate* unmanaged<
    nint,
    nint,
    nint,
    nint,
    nint,
    nint,
    nint,
    int,
    Spectral.Bench.Baselines.BlasLt.HeuristicResult*,
    int*,
    int>;

namespace Spectral.Bench.Baselines;

/// <summary>
/// cuBLASLt at its best: the algorithms that its heuristic names for a product are all timed once on device events, and
/// the fastest is used from then on. F32 or BF16 operands, F32 sums without TF32.
/// </summary>
internal sealed unsafe class BlasLt : IDisposable
{
    internal const int DataF32 = 0;
    internal const int DataBF16 = 14;
    internal const int ComputeF32 = 68;
    internal const int DescTransA = 3;
    internal const int DescTransB = 4;
    internal const int PrefMaxWorkspaceBytes = 1;
    internal const int PrefReductionSchemeMask = 3;
    internal const int ReductionInComputeType = 2; // of cublasLtReductionScheme_t; none is always allowed
    internal const int PrefMinAlignmentABytes = 5;
    internal const int PrefMinAlignmentDBytes = 8;

    private const int Candidates = 16;
    private const int Rounds = 5;
    private const uint WidestAlignment = 256; // bytes: no algorithm asks for more
    private const int WorkspaceBytes = 64 << 20;

    private readonly Machine _machine;
    private readonly LibraryFunctions _functions;
    private readonly delegate* unmanaged<nint, int> _destroy;
    private readonly delegate* unmanaged<nint, int> _matmulDescDestroy;
    private readonly delegate* unmanaged<nint, int> _matrixLayoutDestroy;
    private readonly delegate* unmanaged<nint, int> _matmulPreferenceDestroy;
    private readonly delegate* unmanaged<nint*, int> _matmulPreferenceCreate;
    private readonly delegate* unmanaged<nuint> _getVersion;
    private readonly delegate* unmanaged<nint*, int, int, int> _matmulDescCreate;
    private readonly delegate* unmanaged<nint*, int, ulong, ulong, long, int> _matrixLayoutCreate;
    private readonly delegate* unmanaged<nint, int, void*, nuint, int> _matmulDescSetAttribute;
    private readonly delegate* unmanaged<nint, int, void*, nuint, int> _matmulPreferenceSetAttribute;
    private readonly delegate* unmanaged<nint, int, void*, nuint, nuint*, int> _matmulPreferenceGetAttribute;
    private readonly MatmulAlgoGetHeuristic _matmulAlgoGetHeuristic;
    private readonly Matmul _matmul;
    private readonly nint _handle;
    private readonly nint _preference;
    private readonly Tensor _workspace;
    private readonly Dictionary<Case, Plan?> _plans = [];

    /// <exception cref="DllNotFoundException">No cuBLASLt here.</exception>
    /// <exception cref="EntryPointNotFoundException">It lacks a function.</exception>
    /// <exception cref="CudaException">It does not start here.</exception>
    public BlasLt(Machine machine)
    {
        _machine = machine;
        _functions = new LibraryFunctions(
            machine.Device.Activate(),
            machine.Device.DriverVersion,
            "cuBLASLt",
            "cublasLt",
            "cublasLt",
            "Create",
            Blas.StatusNames,
            new LibraryVersion(13, 13),
            new LibraryVersion(12, 12)
        );
        _destroy = (delegate* unmanaged<nint, int>)_functions["Destroy"];
        _getVersion = (delegate* unmanaged<nuint>)_functions["GetVersion"];
        _matmulDescCreate = (delegate* unmanaged<nint*, int, int, int>)_functions["MatmulDescCreate"];
        _matmulDescDestroy = (delegate* unmanaged<nint, int>)_functions["MatmulDescDestroy"];
        _matmulDescSetAttribute = (delegate* unmanaged<nint, int, void*, nuint, int>)
            _functions["MatmulDescSetAttribute"];
        _matrixLayoutCreate = (delegate* unmanaged<nint*, int, ulong, ulong, long, int>)
            _functions["MatrixLayoutCreate"];
        _matrixLayoutDestroy = (delegate* unmanaged<nint, int>)_functions["MatrixLayoutDestroy"];
        _matmulPreferenceCreate = (delegate* unmanaged<nint*, int>)_functions["MatmulPreferenceCreate"];
        _matmulPreferenceDestroy = (delegate* unmanaged<nint, int>)_functions["MatmulPreferenceDestroy"];
        _matmulPreferenceSetAttribute = (delegate* unmanaged<nint, int, void*, nuint, int>)
            _functions["MatmulPreferenceSetAttribute"];
        _matmulPreferenceGetAttribute = (delegate* unmanaged<nint, int, void*, nuint, nuint*, int>)
            _functions["MatmulPreferenceGetAttribute"];
        _matmulAlgoGetHeuristic = (MatmulAlgoGetHeuristic)_functions["MatmulAlgoGetHeuristic"];
        _matmul = (Matmul)_functions["Matmul"];
        nint preference;
        _functions.Check(_matmulPreferenceCreate(&preference), "preparing the choice of algorithms");
        (_handle, _preference) = (_functions.Handle, preference);
        uint reductions = ReductionInComputeType; // as Gemm promises: not in place and not in the type of the result
        _functions.Check(
            _matmulPreferenceSetAttribute(_preference, PrefReductionSchemeMask, &reductions, sizeof(uint)),
            "preparing the choice of algorithms"
        );
        ulong bytes = WorkspaceBytes;
        _functions.Check(
            _matmulPreferenceSetAttribute(_preference, PrefMaxWorkspaceBytes, &bytes, sizeof(ulong)),
            "preparing the choice of algorithms"
        );
        _workspace = Tensor.Empty(machine.Device, WorkspaceBytes / sizeof(float));
    }

    /// <summary>Ways in which partial sums may be added up, bits of cublasLtReductionScheme_t.</summary>
    public uint Reductions
    {
        get
        {
            uint mask;
            nuint written;
            _functions.Check(
                _matmulPreferenceGetAttribute(_preference, PrefReductionSchemeMask, &mask, sizeof(uint), &written),
                "reading the choice of algorithms"
            );
            return mask;
        }
    }

    /// <summary>The library's version number, e.g. 120405.</summary>
    public long Version => (long)_getVersion();

    /// <summary>Products computed so far, those of timing aside.</summary>
    public long Products { get; private set; }

    /// <summary>
    /// Runs with the products of <see cref="Gemm"/> computed by this library; those it has no algorithm for stay
    /// cuBLAS'.
    /// </summary>
    public void Use(Action run)
    {
        Blas blas = _machine.Device.Blas;
        blas.Substitute = Multiply;
        try
        {
            run();
        }
        finally
        {
            blas.Substitute = null;
        }
    }

    /// <summary>
    /// Row-major <c>C = alpha · op(A) op(B) + beta · C</c>; times the candidates when the first of its kind is met.
    /// False: no algorithm.
    /// </summary>
    public bool Multiply(
        in GemmOperand a,
        in GemmOperand b,
        in GemmOperand c,
        in GemmSize size,
        float alpha,
        float beta
    )
    {
        _machine.Device.Activate();
        uint alignment = 1u << BitOperations.TrailingZeroCount(a.Pointer | b.Pointer | c.Pointer | WidestAlignment);
        var kind = new Case(
            size,
            a.Transposed,
            b.Transposed,
            a.Tensor.DType,
            c.Tensor.DType,
            a.LeadingDimension,
            b.LeadingDimension,
            c.LeadingDimension,
            beta != 0,
            alignment
        );
        if (!_plans.TryGetValue(kind, out Plan? plan))
            _plans[kind] = plan = Fastest(kind, a, b);
        if (plan is null)
            return false;
        _functions.Check(
            Run(plan, ref plan.Chosen, a.Pointer, b.Pointer, c.Pointer, alpha, beta),
            "multiplying matrices",
            "Matmul"
        );
        Products++;
        return true;
    }

    public void Dispose()
    {
        _machine.Device.Activate();
        foreach (Plan? plan in _plans.Values)
        {
            if (plan is not null)
                Free(plan);
        }

        _workspace.Dispose();
        _matmulPreferenceDestroy(_preference);
        _destroy(_handle);
    }

    // Into a result of its own, for beta may be 1; between two runs twice the shared cache is written, so that none
    // finds its operands there.
    private Plan? Fastest(in Case kind, in GemmOperand a, in GemmOperand b)
    {
        Plan plan = Describe(kind);
        Device device = _machine.Device;
        List<Candidate> candidates = Heuristic(plan, kind.Alignment);
        using Tensor result = _machine.Normal((kind.Size.M, kind.LdC), kind.Result);
        using var flush = Tensor.Empty(device, (int)Math.Max(1, 2L * device.L2CacheBytes / sizeof(float)));
        (float beta, ulong x, ulong y) = (kind.Adds ? 1 : 0, a.Pointer, b.Pointer);
        // what it names may not start here
        candidates.RemoveAll(candidate => Run(plan, ref candidate.Found, x, y, result.Pointer, 1, beta) != 0);
        device.Synchronize();
        for (int round = 0; round < Rounds && candidates.Count > 1; round++)
        {
            foreach (Candidate candidate in candidates)
            {
                using DeviceEvent start = new(device);
                using DeviceEvent end = new(device);
                flush.Clear();
                start.Record();
                Run(plan, ref candidate.Found, x, y, result.Pointer, 1, beta);
                end.Record();
                end.Synchronize();
                candidate.Times[round] = end.MillisecondsSince(start);
            }
        }

        if (candidates.Count == 0)
        {
            Free(plan);
            return null;
        }
        plan.Chosen = candidates.MinBy(candidate => candidate.Times.Order().ElementAt(Rounds / 2))!.Found;
        return plan;
    }

    private List<Candidate> Heuristic(Plan plan, uint alignment)
    {
        for (int operand = PrefMinAlignmentABytes; operand <= PrefMinAlignmentDBytes; operand++)
        {
            _functions.Check(
                _matmulPreferenceSetAttribute(_preference, operand, &alignment, sizeof(uint)),
                "preparing the choice of algorithms"
            );
        }

        var found = new HeuristicResult[Candidates];
        int count;
        fixed (HeuristicResult* results = found)
        {
            if (
                _matmulAlgoGetHeuristic(
                    _handle,
                    plan.Description,
                    plan.A,
                    plan.B,
                    plan.C,
                    plan.C,
                    _preference,
                    Candidates,
                    results,
                    &count
                ) != 0
            )
            {
                return []; // none for such a product
            }
        }

        return [.. found.Take(count).Where(result => result.State == 0).Select(result => new Candidate(result))];
    }

    /// <summary>The column-major library is asked for the transposed product, whose first operand is b.</summary>
    private Plan Describe(in Case kind)
    {
        int type = Type(kind.Operands);
        int first = kind.TransposeB ? 1 : 0;
        int second = kind.TransposeA ? 1 : 0;
        nint description;
        _functions.Check(_matmulDescCreate(&description, ComputeF32, DataF32), "describing a product");
        _functions.Check(_matmulDescSetAttribute(description, DescTransA, &first, sizeof(int)), "describing a product");
        _functions.Check(
            _matmulDescSetAttribute(description, DescTransB, &second, sizeof(int)),
            "describing a product"
        );
        return new Plan(
            description,
            Layout(
                type,
                kind.TransposeB ? kind.Size.K : kind.Size.N,
                kind.TransposeB ? kind.Size.N : kind.Size.K,
                kind.LdB
            ),
            Layout(
                type,
                kind.TransposeA ? kind.Size.M : kind.Size.K,
                kind.TransposeA ? kind.Size.K : kind.Size.M,
                kind.LdA
            ),
            Layout(Type(kind.Result), kind.Size.N, kind.Size.M, kind.LdC)
        );
    }

    private nint Layout(int type, int rows, int columns, int ld)
    {
        nint layout;
        _functions.Check(_matrixLayoutCreate(&layout, type, (ulong)rows, (ulong)columns, ld), "describing a matrix");
        return layout;
    }

    private int Run(Plan plan, ref HeuristicResult chosen, ulong a, ulong b, ulong c, float alpha, float beta)
    {
        fixed (Algorithm* algorithm = &chosen.Algorithm)
        {
            return _matmul(
                _handle,
                plan.Description,
                &alpha,
                b,
                plan.A,
                a,
                plan.B,
                &beta,
                c,
                plan.C,
                c,
                plan.C,
                algorithm,
                _workspace.Pointer,
                WorkspaceBytes,
                _machine.Device.Stream.Handle
            );
        }
    }

    private void Free(Plan plan)
    {
        _matmulDescDestroy(plan.Description);
        foreach (nint layout in new[] { plan.A, plan.B, plan.C })
            _matrixLayoutDestroy(layout);
    }

    private static int Type(DType type) => type == DType.BF16 ? DataBF16 : DataF32;

    /// <summary>cublasLtMatmulAlgo_t.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Algorithm
    {
        public fixed ulong Data[8];
    }

    /// <summary>cublasLtMatmulHeuristicResult_t.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct HeuristicResult
    {
        public Algorithm Algorithm;
        public nuint WorkspaceSize;
        public int State;
        public float WavesCount;
        public fixed int Reserved[4];
    }

    /// <summary>
    /// All that the choice of an algorithm depends on; alignment in bytes, the least of the three operands'.
    /// </summary>
    private readonly record struct Case(
        GemmSize Size,
        bool TransposeA,
        bool TransposeB,
        DType Operands,
        DType Result,
        int LdA,
        int LdB,
        int LdC,
        bool Adds,
        uint Alignment
    );

    /// <summary>What the library needs to be told: A and B in its own order.</summary>
    private sealed class Plan(nint description, nint a, nint b, nint c)
    {
        public readonly nint Description = description;
        public readonly nint A = a;
        public readonly nint B = b;
        public readonly nint C = c;
        public HeuristicResult Chosen;
    }

    private sealed class Candidate(HeuristicResult found)
    {
        public readonly float[] Times = new float[Rounds];
        public HeuristicResult Found = found;
    }
}

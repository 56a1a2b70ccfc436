namespace Spectral.Kernels.Ops;

/// <summary>Arguments of <c>elementwise_map.cu</c>.</summary>
[KernelArgs(
    "elementwise_map",
    "elementwise_map_reciprocal_forward",
    "elementwise_map_reciprocal_backward",
    "elementwise_map_sqrt_forward",
    "elementwise_map_sqrt_backward",
    "elementwise_map_exp_forward",
    "elementwise_map_exp_backward",
    "elementwise_map_max_forward",
    "elementwise_map_max_backward",
    "elementwise_map_square_forward",
    "elementwise_map_square_backward",
    "elementwise_map_sign_forward",
    "elementwise_map_sign_backward",
    "elementwise_map_cos_forward",
    "elementwise_map_cos_backward",
    "elementwise_map_sin_forward",
    "elementwise_map_sin_backward"
)]
public struct ElementwiseMapArgs
{
    /// <summary>Device address; backward Y is where dx goes.</summary>
    public ulong X;

    /// <summary>Device address; backward Y is where dx goes.</summary>
    public ulong Dy;

    /// <summary>Device address; backward Y is where dx goes.</summary>
    public ulong Y;

    /// <summary>Size.</summary>
    public long Count;

    /// <summary>Of the functions that have one.</summary>
    public float Floor;

    /// <summary>1: added to what the result holds.</summary>
    public int Accumulate;
}

/// <summary>Functions of one number.</summary>
public enum MapFunction
{
    /// <summary><c>1 / x</c>; infinite at 0.</summary>
    Reciprocal,

    /// <summary><c>√max(x, floor)</c>; the derivative is 0 where x is not above the floor.</summary>
    Sqrt,

    /// <summary><c>eˣ</c>.</summary>
    Exp,

    /// <summary><c>max(x, floor)</c>, with floor 0 the ReLU; the derivative is 0 where x is not above the floor.</summary>
    Max,

    /// <summary><c>x²</c>.</summary>
    Square,

    /// <summary>1 or −1, and x itself where that is 0.</summary>
    Sign,

    /// <summary><c>cos x</c>, x in radians.</summary>
    Cos,

    /// <summary><c>sin x</c>, x in radians.</summary>
    Sin,
}

/// <summary>A function applied to every element, and its adjoint. NaN passes on forward.</summary>
public static class ElementwiseMap
{
    /// <summary><c>y = f(x)</c>.</summary>
    /// <param name="x">Any shape, F32.</param>
    /// <param name="y">Shape of x, F32; written; may be x.</param>
    /// <param name="function">f.</param>
    /// <param name="floor">Of the functions that have one.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Forward(Tensor x, Tensor y, MapFunction function, float floor = 0) =>
        Run(x, null, y, nameof(y), Entry(function, backward: false), floor, false);

    /// <summary><c>dx = dy ∘ f'(x) (+ dx)</c>.</summary>
    /// <param name="x">Any shape, F32: what forward was given.</param>
    /// <param name="dy">Shape of x, F32.</param>
    /// <param name="dx">Shape of x, F32; may be dy.</param>
    /// <param name="function">f.</param>
    /// <param name="floor">As forward.</param>
    /// <param name="accumulate">Whether it is added to what dx holds.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Backward(
        Tensor x,
        Tensor dy,
        Tensor dx,
        MapFunction function,
        float floor = 0,
        bool accumulate = false
    ) => Run(x, dy, dx, nameof(dx), Entry(function, backward: true), floor, accumulate);

    private static void Run(Tensor x, Tensor? dy, Tensor y, string yName, string entry, float floor, bool accumulate)
    {
        Check.DType(x, nameof(x), DType.F32);
        Check.SameDevice(x.Device, x, nameof(x));
        foreach ((Tensor? tensor, string name) in ((Tensor?, string)[])[(dy, nameof(dy)), (y, yName)])
        {
            if (tensor is null)
                continue;
            Check.DType(tensor, name, DType.F32);
            Check.SameShape(x, nameof(x), tensor, name);
            Check.SameDevice(x.Device, tensor, name);
        }
        if (x.Count == 0)
            return;
        var args = new ElementwiseMapArgs
        {
            X = x.Pointer,
            Dy = dy?.Pointer ?? 0,
            Y = y.Pointer,
            Count = x.Count,
            Floor = floor,
            Accumulate = accumulate ? 1 : 0,
        };
        x.Device.Kernel("elementwise_map", entry)
            .Launch(args, Launch.FlatBlocks(x.Count, DType.F32), Launch.FlatThreads);
    }

    private static string Entry(MapFunction function, bool backward) =>
        (function, backward) switch
        {
            (MapFunction.Reciprocal, false) => "elementwise_map_reciprocal_forward",
            (MapFunction.Reciprocal, true) => "elementwise_map_reciprocal_backward",
            (MapFunction.Sqrt, false) => "elementwise_map_sqrt_forward",
            (MapFunction.Sqrt, true) => "elementwise_map_sqrt_backward",
            (MapFunction.Exp, false) => "elementwise_map_exp_forward",
            (MapFunction.Exp, true) => "elementwise_map_exp_backward",
            (MapFunction.Max, false) => "elementwise_map_max_forward",
            (MapFunction.Max, true) => "elementwise_map_max_backward",
            (MapFunction.Square, false) => "elementwise_map_square_forward",
            (MapFunction.Square, true) => "elementwise_map_square_backward",
            (MapFunction.Sign, false) => "elementwise_map_sign_forward",
            (MapFunction.Sign, true) => "elementwise_map_sign_backward",
            (MapFunction.Cos, false) => "elementwise_map_cos_forward",
            (MapFunction.Cos, true) => "elementwise_map_cos_backward",
            (MapFunction.Sin, false) => "elementwise_map_sin_forward",
            (MapFunction.Sin, true) => "elementwise_map_sin_backward",
            _ => throw new ArgumentOutOfRangeException(nameof(function), function, "no such function"),
        };
}

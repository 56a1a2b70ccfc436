using System.Runtime.CompilerServices;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Preconditions of ops. Each method throws an <see cref="ArgumentException"/> that names the argument, what it is and
/// what was expected; an argument that is null or disposed has its own exception. An op checks its first operand by
/// type and shape, the others beside one that was checked already. A shape is a list of dimensions, −1 standing for
/// any; without a shape any will do. Argument names are the caller's own expressions.
/// </summary>
internal static class Check
{
    /// <summary>Checks a parameter's factor of the learning rate.</summary>
    public static void Rate(float rate)
    {
        if (!(rate > 0 && float.IsFinite(rate)))
            throw new ArgumentException($"rate is {rate}, expected a finite number above 0", nameof(rate));
    }

    /// <summary>Checks an operand's type and shape.</summary>
    public static void Operand(
        Tensor tensor,
        DType type,
        scoped ReadOnlySpan<int> shape = default,
        [CallerArgumentExpression(nameof(tensor))] string name = ""
    )
    {
        Usable(tensor, name);
        if (tensor.DType != type)
            throw new ArgumentException($"{name} is {tensor.DType}, expected {type}", name);
        Fits(tensor, shape, name);
    }

    /// <summary>Checks that an operand is on the device of another, and its type and shape.</summary>
    public static void Operand(
        Tensor tensor,
        Tensor like,
        DType type,
        scoped ReadOnlySpan<int> shape = default,
        [CallerArgumentExpression(nameof(tensor))] string name = ""
    )
    {
        Operand(tensor, type, shape, name);
        SameDevice(tensor.Device, like, name);
    }

    /// <summary>Checks that an operand has the device and type of another, and its shape.</summary>
    public static void Operand(
        Tensor tensor,
        Tensor like,
        scoped ReadOnlySpan<int> shape = default,
        [CallerArgumentExpression(nameof(tensor))] string name = "",
        [CallerArgumentExpression(nameof(like))] string likeName = ""
    )
    {
        Usable(tensor, name);
        Fits(tensor, shape, name);
        SameType(tensor, like, name, likeName);
        SameDevice(tensor.Device, like, name);
    }

    /// <summary>
    /// Checks that columns lie within their matrix, and have the device and type of other columns and a shape.
    /// </summary>
    public static void Operand(
        in ColumnRange range,
        in ColumnRange like,
        scoped ReadOnlySpan<int> shape,
        [CallerArgumentExpression(nameof(range))] string name = "",
        [CallerArgumentExpression(nameof(like))] string likeName = ""
    )
    {
        Usable(range.Matrix, name);
        Fits(range, shape[0], shape[1], name);
        SameType(range.Matrix, like.Matrix, name, likeName);
        SameDevice(range.Matrix.Device, like.Matrix, name);
    }

    /// <summary>Checks columns that may be absent: null passes.</summary>
    public static void Optional(
        in ColumnRange? range,
        in ColumnRange like,
        scoped ReadOnlySpan<int> shape,
        [CallerArgumentExpression(nameof(range))] string name = "",
        [CallerArgumentExpression(nameof(like))] string likeName = ""
    )
    {
        if (range is { } wanted)
            Operand(wanted, like, shape, name, likeName);
    }

    /// <summary>Checks that an operand has the device, type and shape of another.</summary>
    public static void SameAs(
        Tensor tensor,
        Tensor like,
        [CallerArgumentExpression(nameof(tensor))] string name = "",
        [CallerArgumentExpression(nameof(like))] string likeName = ""
    )
    {
        Usable(tensor, name);
        SameShape(tensor, like, name, likeName);
        SameType(tensor, like, name, likeName);
        SameDevice(tensor.Device, like, name);
    }

    /// <summary>Checks that an operand has the shape of another.</summary>
    public static void SameShape(
        Tensor tensor,
        Tensor like,
        [CallerArgumentExpression(nameof(tensor))] string name = "",
        [CallerArgumentExpression(nameof(like))] string likeName = ""
    )
    {
        if (tensor.Shape != like.Shape)
            throw new ArgumentException($"{name} is {tensor.Shape}, expected {like.Shape} as {likeName} is", name);
    }

    /// <summary>Checks that an operand is F32 or BF16, and its shape.</summary>
    public static void Floating(
        Tensor tensor,
        scoped ReadOnlySpan<int> shape = default,
        [CallerArgumentExpression(nameof(tensor))] string name = ""
    )
    {
        Usable(tensor, name);
        if (tensor.DType is not (DType.F32 or DType.BF16))
            throw new ArgumentException($"{name} is {tensor.DType}, expected F32 or BF16", name);
        Fits(tensor, shape, name);
    }

    /// <summary>Checks that an operand is F32 or BF16 on the device of another, and its shape.</summary>
    public static void Floating(
        Tensor tensor,
        Tensor like,
        scoped ReadOnlySpan<int> shape = default,
        [CallerArgumentExpression(nameof(tensor))] string name = ""
    )
    {
        Floating(tensor, shape, name);
        SameDevice(tensor.Device, like, name);
    }

    /// <summary>Checks that columns lie within their matrix and are F32 or BF16.</summary>
    public static void Floating(in ColumnRange range, [CallerArgumentExpression(nameof(range))] string name = "")
    {
        Floating(range.Matrix, [-1, -1], name);
        Fits(range, -1, -1, name);
    }

    /// <summary>Checks that an argument lives on the device of an operand.</summary>
    public static void SameDevice(Device device, Tensor like, string name) => SameDevice(device, like.Device, name);

    /// <summary>Checks that the device of an operand is another one's too.</summary>
    public static void SameDevice(Device device, Device like, string name)
    {
        if (device != like)
            throw new ArgumentException($"{name} is on {device}, expected {like}", name);
    }

    private static void Usable(Tensor tensor, string name)
    {
        ArgumentNullException.ThrowIfNull(tensor, name);
        ObjectDisposedException.ThrowIf(tensor.IsDisposed, tensor);
    }

    private static void SameType(Tensor tensor, Tensor like, string name, string likeName)
    {
        if (tensor.DType != like.DType)
            throw new ArgumentException($"{name} is {tensor.DType}, expected {like.DType} as {likeName} is", name);
    }

    private static void Fits(in ColumnRange range, int rows, int columns, string name)
    {
        Fits(range.Matrix, [rows, -1], name);
        bool inside = range.From >= 0 && range.Count >= 0 && range.From <= range.Stride - range.Count;
        if (inside && (columns < 0 || range.Count == columns))
            return;
        string expected = columns < 0 ? "columns" : $"{columns} columns";
        throw new ArgumentException(
            $"{name} is columns {range.From} to {range.From + range.Count} of {range.Matrix.Shape}, "
                + $"expected {expected} within it",
            name
        );
    }

    private static void Fits(Tensor tensor, scoped ReadOnlySpan<int> shape, string name)
    {
        if (shape.IsEmpty)
            return;
        bool fits = tensor.Shape.Rank == shape.Length;
        for (int i = 0; fits && i < shape.Length; i++)
            fits = shape[i] < 0 || tensor.Shape[i] == shape[i];
        if (fits)
            return;
        string[] text = new string[shape.Length];
        for (int i = 0; i < shape.Length; i++)
            text[i] = shape[i] < 0 ? "any" : shape[i].ToString();
        throw new ArgumentException($"{name} is {tensor.Shape}, expected [{string.Join(", ", text)}]", name);
    }
}

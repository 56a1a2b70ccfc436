namespace Spectral.Kernels;

/// <summary>
/// Preconditions of ops: each throws an <see cref="ArgumentException"/> that names the argument, what it is and what
/// was wanted.
/// </summary>
internal static class Check
{
    /// <summary>Checks the rank and the dimensions; a wanted dimension of −1 accepts any length.</summary>
    public static void Shape(Tensor tensor, string name, params ReadOnlySpan<int> wanted)
    {
        bool fits = tensor.Shape.Rank == wanted.Length;
        for (int i = 0; fits && i < wanted.Length; i++)
            fits = wanted[i] < 0 || tensor.Shape[i] == wanted[i];
        if (fits)
            return;
        string[] text = new string[wanted.Length];
        for (int i = 0; i < wanted.Length; i++)
            text[i] = wanted[i] < 0 ? "any" : wanted[i].ToString();
        throw new ArgumentException($"{name} is {tensor.Shape}, expected [{string.Join(", ", text)}]", name);
    }

    public static void SameShape(Tensor a, string aName, Tensor b, string bName)
    {
        if (a.Shape != b.Shape)
            throw new ArgumentException($"{bName} is {b.Shape}, expected {a.Shape} as {aName} is", bName);
    }

    public static void DType(Tensor tensor, string name, DType wanted)
    {
        if (tensor.DType != wanted)
            throw new ArgumentException($"{name} is {tensor.DType}, expected {wanted}", name);
    }

    public static void Floating(Tensor tensor, string name)
    {
        if (tensor.DType is not (Kernels.DType.F32 or Kernels.DType.BF16))
            throw new ArgumentException($"{name} is {tensor.DType}, expected F32 or BF16", name);
    }

    public static void SameDType(Tensor a, string aName, Tensor b, string bName)
    {
        if (a.DType != b.DType)
            throw new ArgumentException($"{bName} is {b.DType}, expected {a.DType} as {aName} is", bName);
    }

    public static void SameDevice(Device device, Tensor tensor, string name)
    {
        if (tensor.Device != device)
            throw new ArgumentException($"{name} is on {tensor.Device}, expected {device}", name);
        ObjectDisposedException.ThrowIf(tensor.IsDisposed, tensor);
    }
}

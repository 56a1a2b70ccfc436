namespace Spectral.Training;

/// <summary>
/// Turns any adapter of the form L·C·R into an exactly equivalent plain LoRA, which every consumer of PEFT folders loads:
/// <c>lora_A = [V; A]</c>, <c>lora_B = [U diag(S ∘ delta), scale · B]</c>, alpha = r, so that the scale is 1. Products are computed in
/// double and stored as F32: one rounding per entry.
/// </summary>
public static class LoraExporter
{
    /// <summary>Writes the adapter in <paramref name="adapterDirectory"/> as a plain LoRA to <paramref name="outputDirectory"/>.</summary>
    /// <remarks>
    /// Modules of smaller rank are filled up with zeros, so that one rank holds for all: not every consumer knows rank_pattern.
    /// </remarks>
    /// <returns>The number of tensors written.</returns>
    /// <exception cref="InputException">The adapter is malformed or not supported.</exception>
    public static int Export(string adapterDirectory, string outputDirectory)
    {
        using AdapterFolder adapter = AdapterFolder.Open(adapterDirectory);
        int rank = adapter.Modules.Values.Max(module => module.TopK + module.Rank);
        List<TensorToWrite> tensors = [];
        foreach (AdapterModule module in adapter.Modules.Values)
        {
            CheckSize(module, Math.Max(module.Inputs, module.Outputs) * rank);
            string a = AdapterFolder.KeyOf(module.Name, AdapterFolder.LoraA), b = AdapterFolder.KeyOf(module.Name, AdapterFolder.LoraB);
            tensors.Add(TensorToWrite.Floats(a, StoredType.F32, [rank, module.Inputs], () => Right(module, rank)));
            tensors.Add(TensorToWrite.Floats(b, StoredType.F32, [module.Outputs, rank], () => Left(module, rank)));
        }
        AdapterConfig config = adapter.Config with
        {
            PeftType = AdapterConfig.Lora,
            Rank = rank,
            Alpha = rank,
            UseRsLora = false,
            RankPattern = [],
            AlphaPattern = [],
            TopK = null,
            BaseTensorSha256 = new Dictionary<string, string>(),
        };
        AdapterFolder.Write(outputDirectory, config, tensors);
        return tensors.Count;
    }

    private static void CheckSize(AdapterModule module, long elements)
    {
        if (elements > Array.MaxLength)
            throw new InputException($"{InputText.Quote(module.Name)} would have a factor of {elements} elements, expected at most "
                + $"{Array.MaxLength}");
    }

    // [V; A; 0], [rank, in]. The rows of V have norm 1 and those of A about 1/√3, so the singular values go to the left factor.
    private static float[] Right(AdapterModule module, int rank)
    {
        float[] right = new float[rank * module.Inputs];
        int spectral = module.TopK * (int)module.Inputs;
        module.SpectralV?.ReadFloats(right.AsSpan(0, spectral));
        module.LoraA?.ReadFloats(right.AsSpan(spectral, module.Rank * (int)module.Inputs));
        return right;
    }

    // [U diag(S ∘ delta), scale · B, 0], [out, rank].
    private static float[] Left(AdapterModule module, int rank)
    {
        float[] left = new float[module.Outputs * rank];
        if (module.SpectralU is { } u)
        {
            float[] sigma = module.SpectralS!.ToFloats();
            float[] delta = module.SpectralDelta!.ToFloats();
            Columns(left, rank, 0, u.ToFloats(), module.TopK, column => (double)sigma[column] * delta[column]);
        }
        if (module.LoraB is { } b)
            Columns(left, rank, module.TopK, b.ToFloats(), module.Rank, _ => module.Scale);
        return left;
    }

    private static void Columns(float[] target, int rank, int at, float[] source, int columns, Func<int, double> factor)
    {
        double[] factors = [.. Enumerable.Range(0, columns).Select(factor)];
        for (int row = 0; row < source.Length / columns; row++)
        {
            for (int column = 0; column < columns; column++)
                target[(row * rank) + at + column] = (float)(factors[column] * source[(row * columns) + column]);
        }
    }
}

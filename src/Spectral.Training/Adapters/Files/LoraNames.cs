namespace Spectral.Training.Adapters.Files;

/// <summary>The names that PEFT gives LoRA's tensors, after the name of their layer.</summary>
internal static class LoraNames
{
    /// <summary>The name of A [r, in] of a linear layer.</summary>
    public const string A = "lora_A.weight";

    /// <summary>The name of B [out, r] of a linear layer.</summary>
    public const string B = "lora_B.weight";

    /// <summary>The name of A [r, V] of an embedding.</summary>
    public const string EmbeddingA = "lora_embedding_A";

    /// <summary>The name of B [D, r] of an embedding.</summary>
    public const string EmbeddingB = "lora_embedding_B";

    /// <summary>The name of DoRA's norms of the weight's rows, [out].</summary>
    public const string Magnitude = "lora_magnitude_vector";
}

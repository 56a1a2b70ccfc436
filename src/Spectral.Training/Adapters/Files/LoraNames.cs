namespace Spectral.Training.Adapters.Files;

/// <summary>The names that PEFT gives the tensors of a LoRA, behind the name of their layer.</summary>
internal static class LoraNames
{
    /// <summary>A [r, in] of a linear layer.</summary>
    public const string A = "lora_A.weight";

    /// <summary>B [out, r] of a linear layer.</summary>
    public const string B = "lora_B.weight";

    /// <summary>A [r, V] of an embedding.</summary>
    public const string EmbeddingA = "lora_embedding_A";

    /// <summary>B [D, r] of an embedding.</summary>
    public const string EmbeddingB = "lora_embedding_B";

    /// <summary>DoRA's lengths of the weight's rows [out].</summary>
    public const string Magnitude = "lora_magnitude_vector";
}

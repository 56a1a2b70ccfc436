namespace Spectral.Training.Gguf.Tokenizers;

/// <summary>What llama.cpp does with a token, by its numbers (<c>llama_token_type</c>).</summary>
internal enum TokenKind
{
    /// <summary>A piece of text, which merges make.</summary>
    Normal = 1,

    /// <summary>The token of text that no other token can spell.</summary>
    Unknown = 2,

    /// <summary>A special token, which is found whole in a text and is not printed.</summary>
    Control = 3,

    /// <summary>An added token that is found whole in a text.</summary>
    UserDefined = 4,

    /// <summary>A row of the embedding that no token has.</summary>
    Unused = 5,

    /// <summary>A single byte of UTF-8.</summary>
    Byte = 6,
}

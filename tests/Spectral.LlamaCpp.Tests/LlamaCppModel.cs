using LLama.Native;

namespace Spectral.LlamaCpp.Tests;

/// <summary>
/// A GGUF file loaded by llama.cpp on the CPU, one thread, with a cache of F32 keys and values: the nearest it comes to
/// the arithmetic of F32.
/// </summary>
internal sealed class LlamaCppModel : IDisposable
{
    private const int Context = 128;

    private readonly SafeLlamaModelHandle _model;
    private readonly SafeLLamaContextHandle _context;

    static LlamaCppModel()
    {
        NativeApi.llama_empty_call(); // finds the library
        NativeLogConfig.llama_log_set((level, line) => Log += level >= LLamaLogLevel.Warning ? line : "");
    }

    /// <summary>Loads a model, and a LoRA for it if one is given.</summary>
    public LlamaCppModel(string path, string? lora = null)
    {
        Log = "";
        var settings = LLamaModelParams.Default();
        settings.n_gpu_layers = 0;
        // Repacked weights would be multiplied in another precision.
        settings.use_extra_bufts = false;
        try
        {
            _model = SafeLlamaModelHandle.LoadFromFile(path, settings);
        }
        catch (LLama.Exceptions.LoadWeightsFailedException error)
        {
            throw new AssertionException($"{error.Message}: {Log}", error);
        }
        var context = LLamaContextParams.Default();
        (context.n_ctx, context.n_batch, context.n_ubatch) = (Context, Context, Context);
        (context.n_threads, context.n_threads_batch) = (1, 1);
        (context.type_k, context.type_v) = (GGMLType.GGML_TYPE_F32, GGMLType.GGML_TYPE_F32);
        context.llama_flash_attn_type = LLamaFlashAttentionType.LLAMA_FLASH_ATTENTION_TYPE_DISABLED;
        context.swa_full = true;
        _context = SafeLLamaContextHandle.Create(_model, context);
        if (lora is not null)
            _context.SetLoraAdapters([(_model.LoadLoraFromFile(lora), 1f)]);
    }

    /// <summary>What llama.cpp warned of since the last model was loaded.</summary>
    public static string Log { get; private set; } = "";

    /// <summary>Computes the logits after each token, [n, V].</summary>
    public float[][] Logits(ReadOnlySpan<int> tokens)
    {
        _context.MemoryClear();
        LLamaBatch batch = new();
        for (int i = 0; i < tokens.Length; i++)
            batch.Add(tokens[i], i, LLamaSeqId.Zero, logits: true);
        Assert.That(_context.Decode(batch), Is.EqualTo(DecodeResult.Ok));
        float[][] logits = new float[tokens.Length][];
        for (int i = 0; i < logits.Length; i++)
            logits[i] = _context.GetLogitsIth(i).ToArray();
        return logits;
    }

    /// <summary>Continues a text with the likeliest tokens.</summary>
    public int[] Greedy(int[] prompt, int count)
    {
        List<int> tokens = [.. prompt];
        for (int i = 0; i < count; i++)
        {
            float[] last = Logits([.. tokens])[^1];
            tokens.Add(Array.IndexOf(last, last.Max()));
        }
        return [.. tokens.Skip(prompt.Length)];
    }

    /// <summary>Encodes a text; special tokens in it become their ids.</summary>
    public int[] Tokenize(string text, bool addsAround = true) =>
        [.. _model.Tokenize(text, addsAround, special: true, System.Text.Encoding.UTF8).Select(token => (int)token)];

    /// <summary>The chat template in the file; null: there is none.</summary>
    public string? Template => _model.GetTemplate();

    /// <summary>The tokens that begin a text, end one and end a turn; null: none.</summary>
    public (int? Begin, int? End, int? EndOfTurn) Roles =>
        ((int?)_model.Vocab.BOS, (int?)_model.Vocab.EOS, (int?)_model.Vocab.EOT);

    public void Dispose()
    {
        _context.Dispose();
        _model.Dispose();
    }
}

using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Numerics;

namespace Spectral.Training.Adapters;

/// <summary>
/// Decides when a head that is tied to the embedding follows the adapter's changes of the embedding, and writes the
/// copies that PEFT stores then.
/// </summary>
internal static class TiedHead
{
    /// <summary>
    /// Returns whether the head follows. It does where single rows of the embedding train, and with
    /// <see cref="AdapterOptions.KeepTied"/> where the embedding is adapted or trained whole. Otherwise it keeps the
    /// base's weight, as in PEFT.
    /// </summary>
    public static bool Follows(
        ModelConfig model,
        AdapterOptions options,
        IEnumerable<SavedTensor> saved,
        IEnumerable<AdaptedModule> modules
    )
    {
        if (!model.TieWordEmbeddings || saved.Any(tensor => tensor.IsHead && tensor.Trains))
            return false;
        if (saved.Any(tensor => tensor.IsEmbedding && tensor.Tokens is not null))
            return true;
        return options.KeepTied
            && (
                modules.Any(module => module.Shape.IsEmbedding)
                || saved.Any(tensor => tensor.IsEmbedding && tensor.Trains)
            );
    }

    /// <summary>Returns whether an adapter has factors or values of the embedding or of the head.</summary>
    public static bool IsTouched(IEnumerable<SavedTensor> saved, IEnumerable<AdaptedModule> modules) =>
        saved.Any(tensor => tensor.IsEmbedding || tensor.IsHead)
        || modules.Any(module => module.Shape.IsEmbedding || module.Shape.IsHead);

    /// <summary>Checks that a fresh adapter can keep head and embedding tied, if it is to.</summary>
    /// <exception cref="InputException">
    /// The two are not tied in the model, or the adapter does not change the embedding alone.
    /// </exception>
    public static void Check(ModelConfig model, AdapterOptions options)
    {
        if (!options.KeepTied)
            return;
        if (!model.TieWordEmbeddings)
            throw new InputException("the head is to stay tied to the embedding, but in this model it is not tied");
        (string embedding, string head) = (model.Family.Embedding, model.Family.Head);
        if (Changes(options, head) || !Changes(options, embedding))
        {
            throw new InputException(
                $"the head is to stay tied to the embedding: expected {ModelTensors.EndOf(embedding)}, which it then "
                    + $"follows, among what is adapted or trained whole, and not {ModelTensors.EndOf(head)}"
            );
        }
    }

    /// <summary>
    /// Returns copies of the embedding's factors under the head's names, which PEFT stores and expects.
    /// </summary>
    /// <param name="rank">The rank of the embedding's adapter.</param>
    /// <param name="right">Reads R [r, D] of the embedding's change.</param>
    /// <param name="left">Reads L [V, r].</param>
    /// <param name="head">The head, which has the sizes of the embedding.</param>
    /// <param name="type">The stored type.</param>
    public static IEnumerable<TensorToWrite> Copies(
        ModuleShape head,
        int rank,
        StoredType type,
        Func<float[]> right,
        Func<float[]> left
    )
    {
        string a = AdapterFolder.KeyOf(head.Name, LoraNames.A);
        string b = AdapterFolder.KeyOf(head.Name, LoraNames.B);
        yield return TensorToWrite.Floats(a, type, [rank, head.In], right);
        yield return TensorToWrite.Floats(b, type, [head.Out, rank], left);
    }

    /// <summary>Returns a copy of the embedding under the head's name.</summary>
    /// <param name="embedding">The embedding, trained whole.</param>
    /// <param name="type">The stored type.</param>
    /// <param name="values">Reads the values.</param>
    public static TensorToWrite Copy(SavedTensor embedding, StoredType type, Func<float[]> values) =>
        TensorToWrite.Floats(
            (embedding with { Name = ModelFamilies.HeadOf(embedding.Module) + ".weight" }).KeyOf(isAdapted: false),
            type,
            embedding.Shape.Dimensions(),
            values
        );

    private static bool Changes(AdapterOptions options, string module) =>
        AdapterTargets.PatternOf(options.TargetModules).Matches(module)
        || SavedModules.Includes(options.ModulesToSave, module + ".weight");
}
